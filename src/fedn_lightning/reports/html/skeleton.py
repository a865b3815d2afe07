"""The frame of every HTML page: one file with style and script inside, which loads nothing from anywhere."""

from __future__ import annotations

import html
from collections.abc import Sequence
from importlib import resources
from importlib.metadata import version

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"
"""The browser itself refuses whatever a page would load from elsewhere."""


class Markup(str):
    """Text that is HTML already and must not be escaped."""

    __slots__ = ()


class Cell(Markup):
    """A whole cell of a table, with its tags."""

    __slots__ = ()


def escape(text: str) -> Markup:
    """Plain text as HTML; what is HTML already stays.

    >>> escape("a<b"), escape(Markup("<b>"))
    ('a&lt;b', '<b>')
    """
    return text if isinstance(text, Markup) else Markup(html.escape(text))


def html_page(title: str, body: str, *, style: str = "", script: str = "") -> str:
    """A whole page.

    Args:
        title: of the window.
        body: HTML of the page.
        style: rules beside those of `page.css`.
        script: run when the page is there.

    Returns:
        The file's text. Links and pictures of other places would not work in it.
    """
    rules = resources.files(__package__).joinpath("page.css").read_text(encoding="utf-8")
    tail = f"<script>{script}</script>" if script else ""
    return (
        "<!DOCTYPE html>\n<html lang='en'>\n<head><meta charset='utf-8'>"
        f"<meta http-equiv='Content-Security-Policy' content=\"{POLICY}\">"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        "<meta name='color-scheme' content='light dark'>"
        f"<title>{html.escape(title)}</title>\n<style>{rules}{style}</style></head>\n"
        f"<body>\n{body}\n<footer>fedn-lightning {version('fedn-lightning')}</footer>{tail}</body></html>\n"
    )


def script_text() -> str:
    """The script of the report's page."""
    return resources.files(__package__).joinpath("page.js").read_text(encoding="utf-8")


def section(anchor: str, title: str, *parts: str) -> Markup:
    """A part of the page that the navigation leads to."""
    return Markup(f"<section id='{anchor}'>\n<h2>{html.escape(title)}</h2>\n" + "\n".join(parts) + "\n</section>")


def paragraph(text: str, style: str = "soft") -> Markup:
    """A sentence or two."""
    return Markup(f"<p class='{style}'>{escape(text)}</p>")


def missing(sentence: str) -> Markup:
    """Stands where something would be that cannot be shown, and says why."""
    return paragraph(sentence, "missing")


def table(rows: Sequence[Sequence[str]], label: str, style: str = "") -> Markup:
    """A table whose first row and first column are headings; it scrolls by itself where it is too wide.

    Args:
        rows: the first is the head.
        label: what a screen reader calls it.
        style: class of the table.
    """
    head, *body = rows
    top = "".join(f"<th scope='col'>{escape(cell)}</th>" for cell in head)
    lines = [f"<tr><th scope='row'>{escape(first)}</th>{''.join(map(_cell, rest))}</tr>" for first, *rest in body]
    name = html.escape(label)
    return Markup(
        f"<div class='scroll' tabindex='0' role='region' aria-label='{name}'>"
        f"<table class='{style}' aria-label='{name}'>"
        f"<thead><tr>{top}</tr></thead><tbody>\n" + "\n".join(lines) + "</tbody></table></div>"
    )


def _cell(text: str) -> str:
    return text if isinstance(text, Cell) else f"<td>{escape(text)}</td>"
