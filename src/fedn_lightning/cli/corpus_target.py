"""What a data command works on: a folder, or the corpus that an experiment file names."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fedn_lightning.cli.bases import layers
from fedn_lightning.corpora import READERS
from fedn_lightning.errors import ConfigError

POLICY_FORM = "NAME=VALUE"


@dataclass(frozen=True)
class CorpusTarget:
    """A corpus and how it is to be read.

    Attributes:
        dataset: name of the reader.
        root: folder of the release.
        policies: the reader's policies.
        crops: the experiment's crop settings (`store`, `size`, ...); empty for a folder.
    """

    dataset: str
    root: str
    policies: dict[str, str] = field(default_factory=dict)
    crops: dict[str, Any] = field(default_factory=dict)


def add_target(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments that :func:`target_of` reads."""
    parser.add_argument("target", help="an experiment file, or the folder a corpus was unpacked in")
    parser.add_argument("--dataset", choices=READERS, help="reader of a folder (default: casme2)")
    parser.add_argument(
        "--policy",
        action="append",
        default=[],
        metavar=POLICY_FORM,
        help="how a quirk of the release is handled, e.g. offset_policy=mirror; may be repeated",
    )


def target_of(args: argparse.Namespace) -> CorpusTarget:
    """The corpus that the arguments name; policies given as arguments win over the file's.

    Raises:
        ConfigError: if the experiment file cannot be read or names no corpus.
    """
    policies = dict(_policy(text) for text in args.policy)
    if Path(args.target).suffix.lower() not in (".yaml", ".yml"):
        return CorpusTarget(args.dataset or "casme2", args.target, policies)
    settings = _data_settings(args.target)
    corpus = settings.get("corpus")
    if not isinstance(corpus, dict) or not {"dataset", "root"} <= set(corpus):
        msg = f"{args.target} names no corpus: data.init_args.corpus needs the keys dataset and root."
        raise ConfigError(msg)
    return CorpusTarget(
        args.dataset or str(corpus["dataset"]),
        str(corpus["root"]),
        {**{name: str(value) for name, value in (corpus.get("policies") or {}).items()}, **policies},
        dict(settings.get("crops") or {}),
    )


def _policy(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        msg = f"--policy {text!r} must have the form {POLICY_FORM}, e.g. offset_policy=mirror."
        raise ConfigError(msg)
    return name, value


def _data_settings(path: str) -> dict[str, Any]:
    """The arguments of an experiment's data module, those of its bases included, references resolved."""
    from omegaconf import DictConfig, OmegaConf
    from omegaconf.errors import OmegaConfBaseException
    from yaml import YAMLError  # type: ignore[import-untyped]

    try:
        first, *changes = layers(Path(path))
        loaded = OmegaConf.merge(OmegaConf.load(first), *map(OmegaConf.create, changes))
        found = OmegaConf.select(loaded, "data.init_args") if isinstance(loaded, DictConfig) else None
        settings = OmegaConf.to_container(found, resolve=True) if found is not None else {}
    except (OSError, YAMLError, OmegaConfBaseException) as error:
        msg = f"{path} cannot be read as an experiment: {error}."
        raise ConfigError(msg) from None
    return {str(key): value for key, value in settings.items()} if isinstance(settings, dict) else {}
