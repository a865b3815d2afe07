"""Griffe extension: shows the doctests at the end of a docstring as examples, and comments beside fields as attributes.

The docstrings put doctests after the sections of the Google style without a heading, where griffe takes them for prose.
What a field of a dataclass holds stands in a comment beside it or above it, which griffe does not read.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

DOCTEST = re.compile(r"(?:^|\n\n)(>>> .*?)(?=\n\n|\Z)", re.DOTALL)
"""A paragraph that begins with a prompt at the docstring's own indentation."""


COMMENT = re.compile(r"  # (.+)$")


class ExamplesFromDoctests(griffe.Extension):
    """Gives each such paragraph the heading `Examples:`."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Called once for every module, class, function and attribute."""
        if obj.docstring is not None:
            obj.docstring.value = DOCTEST.sub(_as_section, obj.docstring.value)

    def on_class(self, *, cls: griffe.Class, **kwargs: Any) -> None:
        """Called once for every class."""
        if cls.docstring is None or "dataclass" not in cls.labels or "Attributes:" in cls.docstring.value:
            return
        known = {name: _comment(member) for name, member in cls.members.items() if member.is_attribute}
        entries = [f"    {name}: {text}" for name, text in known.items() if text]
        if entries:
            cls.docstring.value += "\n\nAttributes:\n" + "\n".join(entries)


def _comment(member: griffe.Object | griffe.Alias) -> str:
    """The comment at the end of a field's line, else the comment lines above it; empty without one."""
    lines: list[str] = member.lines_collection[member.filepath]
    if found := COMMENT.search(lines[(member.endlineno or 1) - 1]):
        return found[1]
    above: list[str] = []
    for line in reversed(lines[: (member.lineno or 1) - 1]):
        if not line.strip().startswith("# "):
            break
        above.insert(0, line.strip()[2:])
    return " ".join(above)


def _as_section(match: re.Match[str]) -> str:
    return "\n\nExamples:\n" + "\n".join(f"    {line}" for line in match[1].splitlines())
