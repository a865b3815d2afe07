"""Times of a video in seconds and as timecode."""

from __future__ import annotations


def timecode(seconds: float) -> str:
    """Hours, minutes, seconds and milliseconds, rounded.

    >>> timecode(3723.4567), timecode(59.9996)
    ('01:02:03.457', '00:01:00.000')
    """
    whole, milliseconds = divmod(round(seconds * 1000), 1000)
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours:02}:{minute:02}:{second:02}.{milliseconds:03}"
