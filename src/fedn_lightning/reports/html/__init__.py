"""Renders the templates. A page is one file with style and script inside, which loads nothing from anywhere."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup


@cache
def _environment() -> Environment:
    # Every value that a template prints is escaped: names of subjects, videos, files and emotions come from outside.
    return Environment(
        loader=PackageLoader(__name__, "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
    )


def render(template: str, **values: Any) -> Markup:
    """The HTML of a template.

    Args:
        template: name of a file in `templates`.
        values: what it shows. Text is escaped unless it is :class:`Markup`, which this function alone makes.
    """
    return Markup(_environment().get_template(template).render(**values))  # escaped by the template


def render_page(template: str, **values: Any) -> str:
    """The text of an HTML file, with the version of the package in its footer."""
    return str(render(template, version=version("fedn-lightning"), **values)) + "\n"
