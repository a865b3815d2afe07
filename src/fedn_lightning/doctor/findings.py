"""What the doctor found, as text to paste into a bug report and as JSON."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        name: what was looked at.
        value: how it is.
        problem: what is wrong and what to do, a sentence; empty if nothing is.
        broken: whether something that everybody needs does not work.
    """

    name: str
    value: str
    problem: str = ""
    broken: bool = False


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
    """The same as what JSON knows."""
    found = {section.title.lower(): [asdict(finding) for finding in section.findings] for section in sections}
    return {"broken": is_broken(sections), "problems": problems(sections), **found}


def impersonal(sections: Sequence[Section], home: Path | None = None) -> list[Section]:
    """The same with the home folder written as `~`, so that no name of a person is pasted along.

    >>> section = Section("Data", (Finding("root", "/ada/data"),))
    >>> impersonal([section], Path("/ada"))[0].findings[0].value
    '~/data'
    """
    folder = str(home or Path.home())
    shorten: Callable[[str], str] = lambda text: text.replace(folder, "~") if len(folder) > 1 else text  # noqa: E731
    return [
        Section(
            section.title,
            tuple(Finding(shorten(f.name), shorten(f.value), shorten(f.problem), f.broken) for f in section.findings),
        )
        for section in sections
    ]
