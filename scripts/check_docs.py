"""Checks facts told in the documentation: links, commands, versions, tables. Part of `make lint`."""

from __future__ import annotations

import itertools
import re
import shlex
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import yaml

from fedn_lightning.cli.main import find

ROOT = Path(__file__).parents[1]
PAGES = [*sorted(ROOT.glob("*.md")), ROOT / "data" / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
STORED_TABLE = ROOT / "experiments" / "results" / "ablations" / "study.md"


def problems() -> Iterator[str]:
    """Every fact that is wrong, as a sentence."""
    for page in PAGES:
        text = page.read_text()
        name = page.relative_to(ROOT)
        yield from (f"{name}: the link {link} leads nowhere." for link in broken_links(page, text))
        for command in commands_in(text):
            yield from (f"{name}: in `{shlex.join(command)}`, {why}" for why in problems_of(command))
    yield from (f"README.md: {why}" for why in other_numbers((ROOT / "README.md").read_text()))
    yield from (f"docs/README.md does not list {page}." for page in unlisted_pages())
    yield from release_problems()
    yield from layer_problems()


def broken_links(page: Path, text: str) -> list[str]:
    """Relative links of a page that lead to no file."""
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    links = re.findall(r"\]\((?!https?://|#)([^)#\s]+)(?:#[^)]*)?\)", prose)
    return [link for link in links if not (page.parent / link).exists()]


def commands_in(text: str) -> list[list[str]]:
    """The words of every `make` and `fedn` line in a page's code blocks, without prompts, comments and explanations."""
    blocks = re.findall(r"^```(?:sh|bash|shell|console)?\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    lines = "\n".join(blocks).replace("\\\n", " ").splitlines()
    plain = [re.split(r"\s{3,}", re.sub(r"^(\$ |[A-Z_]+=\S+ )+", "", line))[0] for line in lines]
    return [shlex.split(line, comments=True) for line in plain if line.startswith(("make ", "fedn "))]


def problems_of(command: list[str]) -> Iterator[str]:
    """What is wrong with a command: a target, a command or an experiment file that does not exist."""
    program, *args = command
    if program == "make":
        makefile = (ROOT / "Makefile").read_text()
        patterns = [name.replace("%", r"[\d.]+") for name in re.findall(r"^([a-z%-]+):", makefile, re.MULTILINE)]
        targets = [arg for arg in args if "=" not in arg]
        yield from (f"the target {name} does not exist." for name in targets if not _matches(name, patterns))
    elif args and args[0] not in ("--help", "--version") and find(args) is None:
        yield f"fedn has no command {args[0]}."
    for option, value in itertools.pairwise(args):
        if option == "--config" and value.startswith("experiments/") and not (ROOT / value).is_file():
            yield f"the file {value} does not exist."


def _matches(name: str, patterns: list[str]) -> bool:
    return any(re.fullmatch(pattern, name) for pattern in patterns)


def other_numbers(text: str) -> Iterator[str]:
    """Rows of the study's table in a page that differ from the stored table; the page may show some of them."""
    stored = {row["row"]: row for row in table_in(STORED_TABLE.read_text())}
    for row in table_in(text):
        if row["row"] not in stored:
            yield f"the table shows the row {row['row']}, which the stored study does not have."
        elif any(stored[row["row"]].get(column) != value for column, value in row.items()):
            yield f"the row {row['row']} of the table is not that of {STORED_TABLE.relative_to(ROOT)}."


def table_in(text: str) -> list[dict[str, str]]:
    """The rows of the first Markdown table that begins with a column `row`; none if there is no such table."""
    if "| row |" not in text:
        return []
    lines = text[text.index("| row |") :].split("\n\n")[0].splitlines()
    head, _, *body = ([cell.strip(" `") for cell in line.strip("|").split("|")] for line in lines)
    return [dict(zip(head, cells, strict=True)) for cells in body]


def unlisted_pages() -> list[str]:
    """Pages of docs/ that its index does not link to."""
    index = (ROOT / "docs" / "README.md").read_text()
    names = [page.relative_to(ROOT / "docs").as_posix() for page in PAGES if page.is_relative_to(ROOT / "docs")]
    listed = [name for name in names if name.startswith("reference/") or f"({name})" in index]
    return [name for name in names if name not in (*listed, "README.md")]


def release_problems() -> Iterator[str]:
    """Version, citation, changelog and the rules for dependencies."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    version = project["version"]
    changelog = (ROOT / "CHANGELOG.md").read_text()
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    if not re.search(rf"^## \[{re.escape(version)}\] - \d{{4}}-\d\d-\d\d$", changelog, re.MULTILINE):
        yield f"CHANGELOG.md has no dated section for version {version}."
    if "## [Unreleased]" not in changelog:
        yield "CHANGELOG.md has no section [Unreleased]."
    if "### Changes that alter reported numbers" not in changelog:
        yield 'CHANGELOG.md has no section "Changes that alter reported numbers".'
    if str(citation["version"]) != version:
        yield f"CITATION.cff is of version {citation['version']}, pyproject.toml of {version}."
    if [source["url"] for source in citation["references"]] != ["https://arxiv.org/abs/2504.07660"]:
        yield "CITATION.cff does not name the paper."
    (lightning,) = (line for line in project["dependencies"] if line.startswith("lightning>"))
    if not {"!=2.6.2", "!=2.6.3"} <= set(re.split("[,>]", lightning)):
        yield "pyproject.toml allows lightning 2.6.2 or 2.6.3, which were malicious releases."
    if re.search(r"^torch==", (ROOT / "constraints.txt").read_text(), re.MULTILINE):
        yield "constraints.txt pins torch, whose build depends on the machine."


def layer_problems() -> Iterator[str]:
    """Where the layers told in docs/contribute.md differ from the contract."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]
    layers = [sorted(re.split(r"\s*\|\s*", layer)) for layer in config["contracts"][0]["layers"]]
    (told,) = re.findall(r"^```\n(cli\n.*?)\n```", (ROOT / "docs/contribute.md").read_text(), re.MULTILINE | re.DOTALL)
    if [sorted(line.split(", ")) for line in told.splitlines()] != layers:
        yield "docs/contribute.md tells other layers than the contract in pyproject.toml."


if __name__ == "__main__":
    found = list(problems())
    for problem in found:
        print(problem, file=sys.stderr)
    sys.exit(bool(found))
