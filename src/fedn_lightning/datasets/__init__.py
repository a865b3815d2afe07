"""One reader per data set; all give the schema of :mod:`fedn_lightning.events`.

A reader is one function `read_x(root, **policies) -> Corpus` in one file. To add a corpus, write that file and name
it in :data:`READERS`.
"""

from __future__ import annotations

import difflib
import importlib
import inspect

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


def read(name: str, root: str, **policies: str) -> Corpus:
    """Reads a corpus as its release lies on disk.

    Args:
        name: one of :data:`READERS`; the generated corpus is read as `casme2`, whose layout it has.
        root: the folder the release was unpacked in.
        policies: what to do with a release's quirks, by name; each reader documents its own and their defaults.

    Raises:
        ConfigError: if there is no such corpus, or its reader has no such policy.
        CorpusNotFoundError: if the corpus is not in `root`.
        AnnotationError: if its annotation table or a row of it cannot be used.
    """
    if name not in READERS:
        raise ConfigError(f"dataset is {name!r}; it must be one of {', '.join(READERS)}.{_similar(name, READERS)}")
    module, function = READERS[name].split(":")
    reader = getattr(importlib.import_module(module), function)
    known = [parameter for parameter in inspect.signature(reader).parameters if parameter != "root"]
    for policy in policies:
        if policy not in known:
            msg = f"{name} has no policy {policy!r}; it has {', '.join(known)}.{_similar(policy, known)}"
            raise ConfigError(msg)
    corpus: Corpus = reader(root, **policies)
    return corpus


def _similar(word: str, words: object) -> str:
    """A suggestion for a misspelt word, or nothing."""
    close = difflib.get_close_matches(word, list(words), 1)  # type: ignore[call-overload]
    return f" Did you mean {close[0]}?" if close else ""
