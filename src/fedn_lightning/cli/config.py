"""Experiment files before the parser reads them.

The key `base` names a file that an experiment extends. Names of subjects stay text: YAML reads `017` as the number 15,
`1:30` as 90 and `no` as false.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped]

from fedn_lightning.errors import ConfigError

BASE = "base"
"""The key; its value is a path, relative to the folder of the file that names it."""


OPTIONS = ("--config", "-c")


def with_bases(argv: Sequence[str]) -> list[str]:
    """Puts the base of each experiment file before it, so that the parser reads one over the other.

    A file without a base stays as it is, unless names of subjects in it must be put in quotes. One with a base is
    handed over as text, without the key: the configuration that a run saves holds base and changes in one, and names
    no base.

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
        path: an experiment file; an unreadable one is left to the parser, which prints the reason.
    """
    found: list[str] = []
    trail: list[Path] = []
    while True:
        text, content = _read(path)
        if BASE not in content:
            return [text or str(path), *found]
        base = content.pop(BASE)
        found.insert(0, json.dumps(content))
        trail.append(path.resolve())
        path = _base_of(path, base, trail)


def _read(path: Path) -> tuple[str, dict[str, Any]]:
    """A file's text where it must be read in place of the file, and its content.

    The text is empty unless names of subjects had to be put in quotes. The content is empty if there is no such file
    or it is no mapping; the parser reports both.
    """
    if not path.is_file():
        return "", {}
    with yaml_errors(path):
        from omegaconf import OmegaConf  # here: `fedn data` must not wait for it

        OmegaConf.load(path)  # stricter than YAML's own reader: no key may stand twice
        written = path.read_text(encoding="utf-8")
        text = quote_names(written)
        content = yaml.safe_load(text)
    return "" if text == written else text, content if isinstance(content, dict) else {}


@contextlib.contextmanager
def yaml_errors(path: Path) -> Iterator[None]:
    """Names the file and line of what cannot be read, which the parser does not."""
    try:
        yield
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f", line {mark.line + 1}" if mark else ""
        msg = f"{path}{line}, is not YAML: {getattr(error, 'problem', None) or 'it cannot be read'}."
        raise ConfigError(msg) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not text in UTF-8 (byte {error.start + 1}); save it as UTF-8.") from error
    except RecursionError as error:
        raise ConfigError(f"{path} is nested too deeply to be an experiment.") from error
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror or error}.") from error
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def _base_of(path: Path, base: Any, trail: Sequence[Path]) -> Path:
    if not isinstance(base, str) or not base:
        raise ConfigError(f"{path}: the key {BASE} must be the path of an experiment file, not {base!r}.")
    target = path.parent / base
    if not target.is_file():
        msg = f"{path} names the base {base}, but there is no file {target}; paths start from the file that names them."
        raise ConfigError(msg)
    if target.resolve() in trail:
        circle = " -> ".join([*(step.name for step in trail), target.name])
        raise ConfigError(f"{path} is based on itself: {circle}. Take the key {BASE} out of one of these files.")
    return target


TEST, VALIDATION = "test_subject", "val_subject"
NAME_KEYS = (TEST, VALIDATION)
"""Configuration keys that hold names of subjects."""

_WHOLE_NUMBER = re.compile(r"0|[1-9][0-9]*")
_SAFE = re.compile(r"(?!(?:y|n|yes|no|on|off|true|false|null|nan|inf)$)[a-z_][\w .+-]*", re.IGNORECASE)
"""Words that no reader of YAML takes for anything but text; they need no quotes."""

_NOT_A_NAME = re.compile(r"|~|null|Null|NULL|.*\$\{.*", re.DOTALL)


def quote_names(text: str) -> str:
    """Puts the names of subjects in a YAML text in quotes, so that a parser cannot take them for something else.

    Args:
        text: YAML; a text that is none, or holds no such key, is returned as it is.

    >>> quote_names("data: {test_subject: [017, no, 15], seed: 017}")
    'data: {test_subject: ["017", "no", "15"], seed: 017}'
    """
    if not any(key in text for key in NAME_KEYS):
        return text
    try:
        root = yaml.compose(text, yaml.SafeLoader)
    except yaml.YAMLError:
        return text  # the parser reports the error
    plain = {(node.start_mark.index, node.end_mark.index): node for node in _names_below(root)}
    for (start, end), _ in sorted(plain.items(), reverse=True):
        text = text[:start] + json.dumps(text[start:end], ensure_ascii=False) + text[end:]
    return text


def quote_argument(option: str, value: str) -> str:
    """The value of a command-line option with the names of subjects in quotes.

    >>> quote_argument("--data.test_subject", "017"), quote_argument("--data.val_subject", "3")
    ('["017"]', '3')
    """
    key = option.lstrip("-").rstrip("+").rpartition(".")[2]
    if key not in NAME_KEYS:
        return quote_names(value)
    prefix = f"{key}: "
    quoted = quote_names(prefix + value).removeprefix(prefix)
    # The parser would keep the quotes of a single name.
    return f"[{quoted}]" if quoted.startswith('"') else quoted


def quote_arguments(words: Sequence[str]) -> list[str]:
    """The words of a command with the names of subjects in quotes; files are not looked into.

    >>> quote_arguments(["fit", "--data.test_subject=[1e3]", "--data.val_subject", "[1:30]"])
    ['fit', '--data.test_subject=["1e3"]', '--data.val_subject', '["1:30"]']
    """
    quoted: list[str] = []
    option = ""
    for word in words:
        name, equals, value = word.partition("=")
        if word.startswith("--") and equals:
            quoted.append(f"{name}={quote_argument(name, value)}")
        else:
            quoted.append(quote_argument(option, word) if option else word)
        option = word if word.startswith("--") and not equals else ""
    return quoted


def _names_below(node: yaml.Node | None) -> Iterator[yaml.ScalarNode]:
    """The unquoted scalars that name subjects."""
    if isinstance(node, yaml.SequenceNode):
        for child in node.value:
            yield from _names_below(child)
    elif isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if getattr(key, "value", None) in NAME_KEYS:
                yield from _names_in(key.value, value)
            else:
                yield from _names_below(value)


def _names_in(key: str, value: yaml.Node) -> Iterator[yaml.ScalarNode]:
    if isinstance(value, yaml.SequenceNode):
        yield from (child for child in value.value if _is_name(child))
    elif _is_name(value):
        if key == VALIDATION:
            _check_count(value)
        elif key == TEST:
            yield value


def _is_name(node: yaml.Node) -> bool:
    if not isinstance(node, yaml.ScalarNode) or node.style is not None:
        return False
    # From the text and not from the value: the value of an alias or of `017` is not what was written.
    return not _NOT_A_NAME.fullmatch(node.value) and not _SAFE.fullmatch(node.value)


def _check_count(node: yaml.ScalarNode) -> None:
    """`val_subject` without brackets is a count; refuses what only looks like one."""
    if not _WHOLE_NUMBER.fullmatch(node.value):
        raise ConfigError(
            f"data.{VALIDATION} is {node.value}, which is no count of subjects. For the subject of that name write "
            f"{VALIDATION}: ['{node.value}'], for a number of subjects a whole number without leading zeros."
        )
