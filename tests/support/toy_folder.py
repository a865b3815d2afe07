"""What must not be imported before a fork: it makes a temporary folder, as W&B does."""

import tempfile

FOLDER = tempfile.TemporaryDirectory()
