"""What the pages link to and tell to type exists."""

from __future__ import annotations

import itertools
import re
import shlex
from pathlib import Path

import pytest
import yaml

from fedn_lightning import __version__
from fedn_lightning.cli.main import find

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs").glob("*.md"))


def blocks_of(page: Path) -> list[str]:
    """Code blocks in which a shell is spoken."""
    return re.findall(r"^```(?:sh)?\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


def commands_of(page: Path) -> list[list[str]]:
    """Every line of a code block that begins with `fedn`."""
    lines = "\n".join(blocks_of(page)).replace("\\\n", " ").splitlines()
    plain = [re.split(r"\s{3,}", line.removeprefix("PYTHONPATH=. "))[0] for line in lines]  # an explanation follows
    return [shlex.split(line, comments=True) for line in plain if line.startswith("fedn ")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\((?!https?://)([^)#]+)(?:#[^)]*)?\)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_exist(page: Path) -> None:
    for words in commands_of(page):
        assert find(words[1:]) is not None, words
        for option, value in itertools.pairwise(words):
            if option == "--config" and value.startswith("experiments/"):
                assert (ROOT / value).is_file(), words


def test_commands_are_found_in_pages() -> None:
    found = [" ".join(words[:2]) for page in PAGES for words in commands_of(page)]
    assert {"fedn fit", "fedn loso", "fedn predict", "fedn export", "fedn evaluate"} <= set(found)


def test_every_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text()
    assert [page.name for page in PAGES if page.name != "README.md" and f"({page.name})" not in index] == []


def test_the_citation_is_of_this_version_and_names_the_paper() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == __version__
    assert citation["license"] == "Apache-2.0"
    (paper,) = citation["references"]
    assert paper["url"] == "https://arxiv.org/abs/2504.07660"
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
