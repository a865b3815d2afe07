"""Checks of single values that users write."""

from __future__ import annotations

import math
import re
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


def decimal_point(text: str) -> str:
    """A number with a decimal comma as one with a point; `1,234` stays, which could mean 1.234 or 1234.

    >>> [decimal_point(text) for text in ("12,5", "1,234", "12.5", "a,b")]
    ['12.5', '1,234', '12.5', 'a,b']
    """
    decimal = re.fullmatch(r"[+-]?\d+,(\d+)", text.strip())
    return text.replace(",", ".") if decimal and len(decimal[1]) != 3 else text


def to_float(text: str) -> float:
    """A number in ASCII digits; Python itself also takes `1_0` for 10, and the digits of every script.

    Raises:
        ValueError: if it is none.

    >>> to_float("12,5"), to_float("-1e3")
    (12.5, -1000.0)
    """
    if "_" in text or not text.strip().isascii():
        raise ValueError(text)
    return float(decimal_point(text))


def as_number(cell: object) -> float | None:
    """A cell as a finite number, also where the release stores numbers as text; None if it is none.

    >>> as_number("38"), as_number(2.5), as_number("n/a"), as_number("2,5")
    (38.0, 2.5, None, 2.5)
    """
    try:
        number = to_float(as_text(cell))
    except ValueError:
        return None
    return number if math.isfinite(number) else None
