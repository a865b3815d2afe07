"""Sets the clock back an hour after some readings, in every process that Python starts with this folder on its path."""

from __future__ import annotations

import itertools
import os
import random
import time

_READINGS = itertools.count()
_LAST = random.Random(os.getpid()).randrange(50, 500)
_TIME, _TIME_NS = time.time, time.time_ns


def _gone_back() -> bool:
    return next(_READINGS) > _LAST


time.time = lambda: _TIME() - 3600 * _gone_back()
time.time_ns = lambda: _TIME_NS() - 3600 * 10**9 * _gone_back()
