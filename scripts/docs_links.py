"""MkDocs hook: gives pages outside `docs/` and linked source files a place on the documentation site.

The pages in `docs/` link to files of the repository (`../data/README.md`, `../examples/python_api.py`), because they
are read as plain Markdown too. On the site such a file gets a copy below `repository/`, and links lead to the copy.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
DOCS = "docs"
COPIES = "repository"
"""Folder of the site that holds copies of files from outside `docs/`."""

LINK = re.compile(r"(\]\()(?!https?:|mailto:|#)([^)\s#]+)((?:#[^)\s]*)?\))")


def on_files(files: Files, config: Any) -> Files:
    """Adds every file outside `docs/` that a page links to, and the pages that these link to in turn."""
    waiting = [_source_of(file.src_uri) for file in files.documentation_pages()]
    added: set[str] = set()
    while waiting:
        source = waiting.pop()
        for target in _links_of(source):
            if target.startswith(f"{DOCS}/") or target in added or not (ROOT / target).is_file():
                continue
            added.add(target)
            files.append(File.generated(config, _site_path(target), abs_src_path=str(ROOT / target)))
            if target.endswith(".md"):
                waiting.append(target)
    return files


def on_page_markdown(markdown: str, page: Page, config: Any, files: Files) -> str:
    """Rewrites links that leave `docs/` to the copies; a link to a folder leads to the README."""
    source = _source_of(page.file.src_uri)
    here = posixpath.dirname(page.file.src_uri)

    def rewritten(match: re.Match[str]) -> str:
        target = _resolve(source, match[2])
        if (ROOT / target).is_dir():
            return f"{match[1]}{posixpath.relpath(_site_path('README.md'), here)})"
        return f"{match[1]}{posixpath.relpath(_site_path(target), here)}{match[3]}"

    return LINK.sub(rewritten, markdown)


def _source_of(site_path: str) -> str:
    """Path in the repository of a page of the site."""
    return site_path.removeprefix(f"{COPIES}/") if site_path.startswith(f"{COPIES}/") else f"{DOCS}/{site_path}"


def _site_path(source: str) -> str:
    """Path on the site of a file of the repository."""
    return source.removeprefix(f"{DOCS}/") if source.startswith(f"{DOCS}/") else f"{COPIES}/{source}"


def _resolve(source: str, link: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(source), link))


def _links_of(source: str) -> list[str]:
    return [_resolve(source, match[2]) for match in LINK.finditer((ROOT / source).read_text())]
