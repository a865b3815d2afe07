"""What must not be imported before a fork: it begins a thread."""

import threading
import time

threading.Thread(target=time.sleep, args=(60,), daemon=True).start()
