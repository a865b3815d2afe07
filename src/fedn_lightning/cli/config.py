"""Experiment files that extend another one, which their key `base` names."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from fedn_lightning.cli.identifiers import quote_arguments, quote_names
from fedn_lightning.errors import ConfigError

KEY = "base"
"""The key; its value is a path, relative to the folder of the file that names it."""


OPTIONS = ("--config", "-c")


def with_bases(argv: Sequence[str]) -> list[str]:
    """Puts the base of each experiment file before it, so that the parser reads one over the other.

    A file without a base stays as it is, unless names of subjects in it must be put in quotes. One with a base is
    handed over as text, without the key: the configuration that a run saves holds base and changes in one, and names
    no base.

    Args:
        argv: words of a training command, e.g. `fit --config experiments/ablations/no_window_attention.yaml`.

    Returns:
        The words with every `--config` whose file has a base written out.

    Raises:
        ConfigError: if a file is not YAML, or a base is not there, is no path, or is based on itself.
    """
    args: list[str] = []
    option = ""
    for word in quote_arguments(argv):
        name, equals, value = word.partition("=")
        if option or (equals and name in OPTIONS):
            for layer in layers(Path(value if equals and not option else word)):
                args += [option or name, layer]
            option = ""
        elif word in OPTIONS:
            option = word
        else:
            args.append(word)
    return [*args, option] if option else args


def layers(path: Path) -> list[str]:
    """What the parser must read one after the other to read a file: paths, and text where a file has a base.

    Args:
        path: an experiment file; one that cannot be read is left to the parser, which says why.

    Raises:
        ConfigError: as :func:`with_bases`.
    """
    found: list[str] = []
    trail: list[Path] = []
    while True:
        text, content = _read(path)
        if KEY not in content:
            return [text or str(path), *found]
        base = content.pop(KEY)
        found.insert(0, json.dumps(content))
        trail.append(path.resolve())
        path = _base_of(path, base, trail)


def _read(path: Path) -> tuple[str, dict[str, Any]]:
    """A file's text where it must be read in place of the file, and its content.

    The text is empty unless names of subjects had to be put in quotes. The content is empty if the file cannot be read
    or is no mapping, which the parser tells.
    """
    check_file(path)
    try:
        written = path.read_text(encoding="utf-8")
        text = quote_names(written)
        content = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError):
        return "", {}
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    return "" if text == written else text, content if isinstance(content, dict) else {}


def _base_of(path: Path, base: Any, trail: Sequence[Path]) -> Path:
    if not isinstance(base, str) or not base:
        msg = f"{path}: the key {KEY} must be the path of an experiment file, not {base!r}."
        raise ConfigError(msg)
    target = path.parent / base
    if not target.is_file():
        msg = f"{path} names the base {base}, but there is no file {target}; paths start from the file that names them."
        raise ConfigError(msg)
    if target.resolve() in trail:
        circle = " -> ".join([*(step.name for step in trail), target.name])
        msg = f"{path} is based on itself: {circle}. Take the key {KEY} out of one of these files."
        raise ConfigError(msg)
    return target


def check_file(path: Path) -> None:
    """Names the file and line of a syntax error, which the parser does not.

    Raises:
        ConfigError: if a file that is there is not YAML.
    """
    try:
        if path.is_file():
            from omegaconf import OmegaConf  # here: `fedn data` must not wait for it

            OmegaConf.load(path)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        msg = f"{path}{line}, is not YAML: {getattr(error, 'problem', None) or 'it cannot be read'}."
        raise ConfigError(msg) from error
