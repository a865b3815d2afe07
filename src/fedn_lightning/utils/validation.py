"""Checks of single values that users write."""

from __future__ import annotations

import math
from collections.abc import Iterable

from fedn_lightning.errors import ConfigError
from fedn_lightning.utils.names import normal_form


def check_choice(key: str, value: str, choices: Iterable[str]) -> None:
    """Refuses a policy that does not exist.

    Raises:
        ConfigError: naming the key and the choices.
    """
    allowed = tuple(choices)
    if value not in allowed:
        msg = f"{key} is {value!r}; it must be one of {', '.join(allowed)}."
        raise ConfigError(msg)


def as_text(cell: object) -> str:
    """A cell as stripped text in composed Unicode; a whole number loses the `.0` that spreadsheets give it.

    >>> as_text(15.0), as_text(" 0101 "), as_text(None)
    ('15', '0101', '')
    """
    if cell is None:
        return ""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return normal_form(str(cell))


def as_number(cell: object) -> float | None:
    """A cell as a finite number, also where the release stores numbers as text; None if it is none.

    >>> as_number("38"), as_number(2.5), as_number("n/a")
    (38.0, 2.5, None)
    """
    try:
        number = float(as_text(cell))
    except ValueError:
        return None
    return number if math.isfinite(number) else None
