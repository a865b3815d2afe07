from __future__ import annotations

import pytest

from fedn_lightning.cli.options import CommandParser
from fedn_lightning.errors import ConfigError


@pytest.fixture
def parser() -> CommandParser:
    made = CommandParser("toy", "A command.")
    made.add_argument("files", nargs="*")
    made.add_argument("--size", "-s", type=int, default=3)
    made.add_argument("--policy", action="append", default=[])
    return made


def test_an_option_that_keeps_one_value_is_refused_when_it_is_given_twice(parser: CommandParser) -> None:
    with pytest.raises(ConfigError, match=r"-s is given twice; only one value can be used\. fedn toy --help"):
        parser.parse_args(["--size", "4", "-s", "5"])


def test_options_that_are_given_once_or_collect_are_taken(parser: CommandParser) -> None:
    for _ in range(2):
        args = parser.parse_args(["a", "b", "--size", "4", "--policy", "x=1", "--policy", "y=2"])
        assert (args.files, args.size, args.policy) == (["a", "b"], 4, ["x=1", "y=2"])
    assert parser.parse_args([]).size == 3
