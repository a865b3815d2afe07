"""One reader per data set; all give the schema of :mod:`fedn_lightning.events`.

A reader is one function `read_x(root, log, **policies)` in one file: it gives all videos and the rows of the release's
table. :func:`read` applies the policies that all corpora share. To add a corpus, write that file and name it in
:data:`READERS`.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from fedn_lightning.datasets.base import RepairLog, to_corpus
from fedn_lightning.errors import ConfigError
from fedn_lightning.events import Corpus

READERS: dict[str, str] = {
    "casme2": "fedn_lightning.datasets.casme2:read_casme2",
    "casme3": "fedn_lightning.datasets.casme3:read_casme3",
    "samm_lv": "fedn_lightning.datasets.samm_lv:read_samm_lv",
    "smic": "fedn_lightning.datasets.smic:read_smic",
    "csv": "fedn_lightning.datasets.table:read_csv",
    "elan": "fedn_lightning.datasets.elan:read_elan",
}
"""Name of a corpus in configurations -> its reader, imported when it is needed."""


SHARED = ("offset_policy", "type_source", "past_end", "unusable_rows")
"""Policies of every corpus."""

CLIPPED = ("samm_lv", "elan")
"""Corpora in which rows end past their video now and then, so that `past_end` is `clip` unless told otherwise."""


def read(name: str, root: str, **policies: Any) -> Corpus:
    """Reads a corpus as its release lies on disk.

    Args:
        name: one of :data:`READERS`; the generated corpus is read as `casme2`, whose layout it has.
        root: the folder the release was unpacked in.
        policies: what to do with a release's quirks, by name. Of every corpus: `offset_policy` (`apex`; see
            :func:`.base.repaired_offset`), `type_source` (`label`; `duration` calls up to 0.5 s micro), `past_end`
            (a row that ends past its video is `unusable`, or `clip`ped) and `unusable_rows` (`error`, or `drop` to go
            on without rows and videos that cannot be used). Each reader documents its own and their defaults.

    Raises:
        ConfigError: if there is no such corpus, or no such policy.
        CorpusNotFoundError: if the corpus is not in `root`.
        AnnotationError: if its annotation table or a row of it cannot be used.
    """
    if name not in READERS:
        raise ConfigError(f"dataset is {name!r}; it must be one of {', '.join(READERS)}.{_similar(name, READERS)}")
    module, function = READERS[name].split(":")
    reader = getattr(importlib.import_module(module), function)
    known = [*SHARED, *list(inspect.signature(reader).parameters)[2:]]
    for policy in policies:
        if policy not in known:
            raise ConfigError(f"{name} has no policy {policy!r}; it has {', '.join(known)}.{_similar(policy, known)}")
    shared = {key: policies.pop(key) for key in SHARED if key in policies}
    log = RepairLog(shared.pop("unusable_rows", "error"))
    videos, rows = reader(root, log, **policies)
    return to_corpus(name, videos, rows, log, **{"past_end": "clip" if name in CLIPPED else "unusable", **shared})


def read_all(name: str, roots: str | Sequence[str], policies: Mapping[str, str]) -> Corpus:
    """Reads a corpus, or several of one layout as one.

    Args:
        name: one of :data:`READERS`.
        roots: the folder of one corpus, or the folders of several.
        policies: of the reader, see :func:`read`.

    Returns:
        The corpus. Where several are read, the folder's name stands before each subject's, as in `synthetic3d-s15`:
        people of two corpora are never one person.

    Raises:
        ConfigError: if no folder is named, or two have one name; else as :func:`read`.
    """
    if isinstance(roots, str):
        return read(name, roots, **policies)
    names = [Path(root).resolve().name for root in roots]
    again = [folder for folder, count in Counter(names).items() if count > 1]
    if not names or again:
        why = f"two folders are called {again[0]}, which names their subjects" if again else "it names no folder"
        raise ConfigError(f"data.corpus.root is {list(roots)}: {why}. Name folders of different names.")
    parts = [_prefixed(read(name, root, **policies), folder) for root, folder in zip(roots, names, strict=True)]
    return Corpus(
        parts[0].name,
        tuple(video for part in parts for video in part.videos),
        tuple(expression for part in parts for expression in part.expressions),
        tuple(repair for part in parts for repair in part.repairs),
    )


def _prefixed(corpus: Corpus, folder: str) -> Corpus:
    return replace(
        corpus,
        videos=tuple(replace(video, subject=f"{folder}-{video.subject}") for video in corpus.videos),
        expressions=tuple(replace(e, subject=f"{folder}-{e.subject}") for e in corpus.expressions),
    )


def _similar(word: str, words: object) -> str:
    """A suggestion for a misspelt word, or nothing."""
    close = difflib.get_close_matches(word, list(words), 1)  # type: ignore[call-overload]
    return f" Did you mean {close[0]}?" if close else ""
