"""Messages on the terminal."""

from __future__ import annotations

import sys


def note(text: str) -> None:
    """Prints one line on stderr, where it does not mix with results."""
    print(f"fedn: {text}", file=sys.stderr, flush=True)
