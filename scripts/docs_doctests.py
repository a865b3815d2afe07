"""Griffe extension: shows the doctests at the end of a docstring as examples.

The docstrings put doctests after the sections of the Google style without a heading, where griffe takes them for prose.
"""

from __future__ import annotations

import re
from typing import Any

import griffe

DOCTEST = re.compile(r"(?:^|\n\n)(>>> .*?)(?=\n\n|\Z)", re.DOTALL)
"""A paragraph that begins with a prompt at the docstring's own indentation."""


class ExamplesFromDoctests(griffe.Extension):
    """Gives each such paragraph the heading `Examples:`."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Called once for every module, class, function and attribute."""
        if obj.docstring is not None:
            obj.docstring.value = DOCTEST.sub(_as_section, obj.docstring.value)


def _as_section(match: re.Match[str]) -> str:
    return "\n\nExamples:\n" + "\n".join(f"    {line}" for line in match[1].splitlines())
