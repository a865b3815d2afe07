"""The result of a check, and its text for a terminal and for a bug report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Finding:
    """The result of one check."""

    name: str  # what was checked
    value: str  # what was found
    problem: str = ""  # what is wrong and what to do, a sentence; empty if nothing is
    broken: bool = False  # whether something that everybody needs does not work


@dataclass(frozen=True)
class Section:
    """Findings that belong together."""

    title: str
    findings: tuple[Finding, ...]


def is_broken(sections: Sequence[Section]) -> bool:
    """Whether something that everybody needs does not work."""
    return any(finding.broken for section in sections for finding in section.findings)


def problems(sections: Sequence[Section]) -> list[str]:
    """The sentences about what is wrong."""
    return [finding.problem for section in sections for finding in section.findings if finding.problem]


def to_markdown(sections: Sequence[Section]) -> str:
    """Headings and lists that read well in a terminal and in a bug report.

    >>> print(to_markdown([Section("Disk", (Finding("free", "1 GB", "Make room."),))]))
    ### Problems
    - Make room.
    <BLANKLINE>
    ### Disk
    - free: 1 GB
    """
    wrong = problems(sections)
    blocks = ["\n".join(["### Problems", *(f"- {text}" for text in wrong)]) if wrong else "No problem was found."]
    blocks += ["\n".join([f"### {s.title}", *(f"- {f.name}: {f.value}" for f in s.findings)]) for s in sections]
    return "\n\n".join(blocks)


def to_plain(sections: Sequence[Section]) -> dict[str, Any]:
    """The same as plain values for JSON."""
    found = {section.title.lower(): [asdict(finding) for finding in section.findings] for section in sections}
    return {"broken": is_broken(sections), "problems": problems(sections), **found}


def hide_home(sections: Sequence[Section], home: Path | None = None) -> list[Section]:
    """The same with the home folder written as `~`, so that a pasted report shows no user name.

    >>> section = Section("Data", (Finding("root", "/ada/data"),))
    >>> hide_home([section], Path("/ada"))[0].findings[0].value
    '~/data'
    """
    folder = str(home or Path.home())
    if len(folder) <= 1:
        return list(sections)

    def shorten(finding: Finding) -> Finding:
        name, value, problem = (text.replace(folder, "~") for text in (finding.name, finding.value, finding.problem))
        return Finding(name, value, problem, finding.broken)

    return [Section(section.title, tuple(map(shorten, section.findings))) for section in sections]
