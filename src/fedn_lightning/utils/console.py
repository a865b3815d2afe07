"""Messages and progress on the terminal: on stderr, where they do not mix with results."""

from __future__ import annotations

import contextlib
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

INTERVAL = 30.0
"""Seconds between lines of progress where there is no terminal."""


def note(text: str) -> None:
    """Prints one line on stderr."""
    print(f"fedn: {text}", file=sys.stderr, flush=True)


def clock(seconds: float) -> str:
    """A duration for a reader.

    >>> clock(59), clock(3725)
    ('0:59', '1:02:05')
    """
    whole = int(seconds)
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"


class ProgressBar:
    """Progress of one piece of work: a bar on a terminal, elsewhere a line every :data:`INTERVAL` seconds.

    Args:
        text: what is being done.
        total: how much there is to do, None if it is not known.
        done: how much an earlier run has done.
        unit: what is counted.
        transient: whether the bar leaves the terminal when it ends.
        console: where; stderr by default.
    """

    def __init__(
        self,
        text: str,
        total: int | None = None,
        *,
        done: int = 0,
        unit: str = "frames",
        transient: bool = False,
        console: Console | None = None,
    ) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._console, self._unit = console or Console(stderr=True), unit
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        # Redirected, results would go where the bar goes, also where standard output is a file.
        self._bar = Progress(
            *columns,
            console=self._console,
            redirect_stdout=False,
            transient=transient,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task(text, total=total, completed=done)
        self._text, self._total, self._done, self._before = text, total, done, done
        self._began = self._printed = time.monotonic()

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def _stop(self) -> None:
        if self._console.is_terminal:  # rich before 14.3 ends a bar that it does not show with an empty line
            self._bar.stop()

    def restart(self, text: str, total: int | None = None) -> None:
        """Begins the next piece of work."""
        self._bar.reset(self._task, total=total, description=text)
        self._text, self._total, self._done, self._before = text, total, 0, 0
        self._began = time.monotonic()

    def advance(self, count: int, text: str | None = None) -> None:
        """Adds to the number done, and shows the current item."""
        self._text, self._done = text or self._text, self._done + count
        self._bar.update(self._task, advance=count, description=self._text)
        now = time.monotonic()
        if not self._console.is_terminal and now - self._printed >= INTERVAL:
            self._printed = now
            self._console.print(self._line(now - self._began), highlight=False, markup=False, soft_wrap=True)

    @contextlib.contextmanager
    def hidden(self) -> Iterator[None]:
        """Takes the bar off the terminal while something else is printed."""
        self._stop()
        yield
        self._bar.start()

    def _line(self, seconds: float) -> str:
        rate = (self._done - self._before) / seconds if seconds > 0 else 0.0
        of = f" of {self._total}" if self._total else ""
        left = f", about {clock((self._total - self._done) / rate)} left" if self._total and rate else ""
        return f"fedn: {self._text}: {self._done}{of} {self._unit}, {rate:.3g} {self._unit}/s{left}"


class LiveTable(ABC):
    """A table that is kept up to date on a terminal; elsewhere its title is printed every :data:`INTERVAL` seconds."""

    def __init__(self, console: Console | None = None) -> None:
        from rich.console import Console
        from rich.live import Live

        self.console = console or Console(stderr=True)
        self._live = Live(console=self.console, auto_refresh=False) if self.console.is_terminal else None
        self._printed = time.monotonic()

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live:
            self.refresh()
            self._live.stop()

    @abstractmethod
    def table(self) -> Table:
        """What is shown now."""

    def refresh(self) -> None:
        """Shows the table as it is now."""
        if self._live:
            self._live.update(self.table(), refresh=True)
        elif time.monotonic() - self._printed >= INTERVAL:
            self._printed = time.monotonic()
            table = self.table()
            self.log("; ".join(str(part) for part in (table.title, table.caption) if part))

    def log(self, text: str) -> None:
        """Prints a line above the table."""
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)
