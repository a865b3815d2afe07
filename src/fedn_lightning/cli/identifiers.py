"""Keeps the names of subjects text: YAML reads `017` as the number 15, `1:30` as 90 and `no` as false."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

import yaml  # type: ignore[import-untyped]

from fedn_lightning.errors import ConfigError

TEST, VALIDATION = "test_subject", "val_subject"
KEYS = (TEST, VALIDATION)
"""Configuration keys that hold names of subjects."""

_WHOLE_NUMBER = re.compile(r"0|[1-9][0-9]*")
_SAFE = re.compile(r"(?!(?:y|n|yes|no|on|off|true|false|null|nan|inf)$)[a-z_][\w .+-]*", re.IGNORECASE)
"""Words that no reader of YAML takes for anything but text; they need no quotes."""

_NOT_A_NAME = re.compile(r"|~|null|Null|NULL|.*\$\{.*", re.DOTALL)


def quote_names(text: str) -> str:
    """Puts the names of subjects in a YAML text in quotes, so that a parser cannot take them for something else.

    Args:
        text: YAML; a text that is none, or holds no such key, is returned as it is.

    Raises:
        ConfigError: if `val_subject` is a number that could be a count or a name.

    >>> quote_names("data: {test_subject: [017, no, 15], seed: 017}")
    'data: {test_subject: ["017", "no", "15"], seed: 017}'
    """
    if not any(key in text for key in KEYS):
        return text
    try:
        root = yaml.compose(text, yaml.SafeLoader)
    except yaml.YAMLError:
        return text  # the parser says what is wrong
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
    if key not in KEYS:
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
            if getattr(key, "value", None) in KEYS:
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
        msg = (
            f"data.{VALIDATION} is {node.value}, which is no count of subjects. For the subject of that name write "
            f"{VALIDATION}: ['{node.value}'], for a number of subjects a whole number without leading zeros."
        )
        raise ConfigError(msg)
