"""Counts that each release's authors and users publish, to hold a copy on disk against."""

from __future__ import annotations

from pathlib import Path

PUBLISHED: dict[str, dict[str, int]] = {
    "casme2": {"subjects": 22, "videos": 97, "annotated videos": 95, "macro": 300, "micro": 57},
    "samm_lv": {"subjects": 30, "videos": 147, "macro": 343, "micro": 159},
    "casme3": {"subjects": 98, "videos": 956, "macro": 3346, "micro": 860},
    "smic": {"subjects": 16, "videos": 157, "macro": 0, "micro": 157},
}
"""By the name of the reader. Rows that a policy drops are missing from what is counted on disk."""

GENERATED = "corpus.json"
"""File in the root of a generated corpus, which has a release's layout but counts of its own."""


def published_counts(dataset: str, root: str) -> dict[str, int] | None:
    """The published counts of a release; None for a generated corpus and for one without published counts."""
    return None if (Path(root) / GENERATED).is_file() else PUBLISHED.get(dataset)
