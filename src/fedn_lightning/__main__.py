"""`python -m fedn_lightning` is `fedn`."""

import sys

from fedn_lightning.cli.main import main

sys.exit(main())
