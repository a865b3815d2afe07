"""Face boxes given by hand, for videos in which no face is found."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

from fedn_lightning.corpora.workbook import as_number
from fedn_lightning.errors import ConfigError

COLUMNS = ("video", "x", "y", "width", "height")


def read_boxes(path: str, keys: Sequence[str]) -> dict[str, tuple[float, float, float, float]]:
    """Reads a CSV table with the columns `video, x, y, width, height`, in source pixels.

    Args:
        path: the table.
        keys: keys of the corpus's videos; a `video` is one of them, or its part after the slash where that is unique.

    Returns:
        `(x, y, width, height)` by video key.

    Raises:
        ConfigError: naming the row, if the table or a row of it cannot be used.
    """
    try:
        with Path(path).open(newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file)
            if not set(COLUMNS) <= set(table.fieldnames or []):
                msg = f"{path} must have the columns {', '.join(COLUMNS)}."
                raise ConfigError(msg)
            return dict(_box(path, number, row, keys) for number, row in enumerate(table, start=2))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        msg = f"{path} cannot be read as a CSV table: {error}."
        raise ConfigError(msg) from None


def _box(
    path: str, number: int, row: dict[str, str], keys: Sequence[str]
) -> tuple[str, tuple[float, float, float, float]]:
    """One row."""
    name = (row["video"] or "").strip()
    matches = [key for key in keys if name in (key, key.partition("/")[2])]
    if len(matches) != 1:
        msg = f"{path}, row {number}: {name!r} names {len(matches)} videos of the corpus; write subject/video."
        raise ConfigError(msg)
    x, y, width, height = (as_number(row[column]) for column in COLUMNS[1:])
    if x is None or y is None or width is None or height is None or min(width, height) <= 0:
        msg = f"{path}, row {number}: x, y, width and height must be numbers, the last two above 0."
        raise ConfigError(msg)
    return matches[0], (x, y, width, height)
