"""Reads spreadsheets by sheet position or name, keeping the row numbers a user sees in their own program."""

from __future__ import annotations

from pathlib import Path

from fedn_lightning.errors import AnnotationError
from fedn_lightning.utils.validation import as_text

Row = tuple[int, list[object]]
"""A row of a sheet: its 1-based number and its cells."""


def read_sheet(path: str | Path, sheet: int | str = 0) -> list[Row]:
    """Reads one sheet of an .xls or .xlsx workbook.

    Args:
        path: the workbook.
        sheet: 0-based position, or the sheet's name.

    Returns:
        The rows that hold anything, each with its 1-based row number. Numbers arrive as `float`, empty and merged
        cells as `""`.

    Raises:
        AnnotationError: if the file is not a workbook, or has no such sheet.
    """
    import python_calamine  # imported here, so that commands without a workbook start faster

    try:
        workbook = python_calamine.CalamineWorkbook.from_path(str(path))
        names = workbook.sheet_names
        name = sheet if isinstance(sheet, str) else names[sheet]
        if name not in names:
            raise IndexError(name)
        # Leading empty rows must stay, or every row number in a message would be wrong.
        rows = workbook.get_sheet_by_name(name).to_python(skip_empty_area=False)
    except IndexError:
        which = f"named {sheet!r}" if isinstance(sheet, str) else f"number {sheet + 1}"
        msg = f"{path} has no sheet {which}; its sheets are {', '.join(names)}. Is it the release's own workbook?"
        raise AnnotationError(msg) from None
    except (python_calamine.CalamineError, OSError) as error:
        msg = f"{path} cannot be read as a spreadsheet ({error}). Unpack the release's own .xls or .xlsx file there."
        raise AnnotationError(msg) from None
    return [(number, list(cells)) for number, cells in enumerate(rows, start=1) if any(as_text(cell) for cell in cells)]


def pad(cells: list[object], width: int) -> list[object]:
    """Exactly `width` cells: sheets leave out empty cells at the right end.

    >>> pad([1.0], 3)
    [1.0, '', '']
    """
    return (cells + [""] * width)[:width]


HEADER_WITHIN = 30
"""Rows in which a table's header is looked for: releases put notes above it."""


def read_table(path: str | Path, sheet: int | str, columns: tuple[str, ...]) -> list[tuple[int, dict[str, object]]]:
    """Reads the rows below a header.

    Args:
        path: the workbook.
        sheet: 0-based position, or the sheet's name.
        columns: names that the header must have; compared stripped and in lower case.

    Returns:
        Each row's 1-based number and its cells by column name, in lower case.

    Raises:
        AnnotationError: if the workbook cannot be read or has no such header.
    """
    rows = read_sheet(path, sheet)
    wanted = {column.lower() for column in columns}
    for position, (_, cells) in enumerate(rows[:HEADER_WITHIN]):
        names = [as_text(cell).lower() for cell in cells]
        if wanted <= set(names):
            return [
                (number, dict(zip(names, pad(row, len(names)), strict=True))) for number, row in rows[position + 1 :]
            ]
    msg = f"{path} has no header row with the columns {', '.join(columns)} in its first {HEADER_WITHIN} rows."
    raise AnnotationError(msg)
