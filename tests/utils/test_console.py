"""Progress on a terminal and where there is none."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.table import Table

from fedn_lightning.utils import console as module
from fedn_lightning.utils.console import LiveTable, ProgressBar


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which stands still unless a test changes its only element."""
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def test_without_a_terminal_lines_tell_rate_and_time_left(clock: list[float]) -> None:
    file = io.StringIO()
    with ProgressBar("optical flow", 1000, done=200, console=Console(file=file)) as bar:
        for _ in range(8):
            clock[0] += 10
            bar.advance(50)
    lines = file.getvalue().splitlines()
    assert len(lines) == 2  # after 30 and 60 of 80 s
    assert "350 of 1000 frames, 5 frames/s, about 2:10 left" in lines[0]
    assert "500 of 1000" in lines[1]


def test_short_work_prints_nothing_without_a_terminal(clock: list[float]) -> None:
    file = io.StringIO()
    with ProgressBar("decoding", console=Console(file=file)) as bar:
        bar.advance(5)
        with bar.hidden():
            pass
    assert file.getvalue() == ""


def test_an_unknown_total_has_a_rate_and_no_time_left(clock: list[float]) -> None:
    file = io.StringIO()
    with ProgressBar("looking", console=Console(file=file)) as bar:
        clock[0] += 40
        bar.advance(80, "looking at p1")
    assert file.getvalue() == "fedn: looking at p1: 80 frames, 2 frames/s\n"


def test_a_terminal_shows_a_bar() -> None:
    file = io.StringIO()
    with ProgressBar("decoding", 10, console=Console(file=file, force_terminal=True)) as bar:
        bar.advance(10)
    assert "10/10" in file.getvalue()


def test_a_table_becomes_a_line_without_a_terminal(clock: list[float]) -> None:
    class Folds(LiveTable):
        def table(self) -> Table:
            return Table(title="2 folds running", caption="about 1:00 left")

    file = io.StringIO()
    with Folds(Console(file=file)) as table:
        table.refresh()
        clock[0] += 31
        table.refresh()
        table.refresh()
    assert file.getvalue() == "2 folds running; about 1:00 left\n"
