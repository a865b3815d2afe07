"""A subject's name is the text that was written, whatever YAML would make of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from fedn_lightning.cli.config import quote_names, with_bases
from fedn_lightning.cli.parsing import PARSER_OPTIONS, FednParser, prepare_parsing
from fedn_lightning.datamodules.splits import find_subject
from fedn_lightning.errors import ConfigError, SplitError

ODD = ["017", "020", "1e3", "1:30", "no", "07", "0x1f", "1_000", "2020-01-01", "1.50", ".5", "yes", "s15"]


def parsed(*words: str) -> dict[str, object]:
    """What a data module would get as `test_subject` and `val_subject`."""
    prepare_parsing()
    parser = FednParser(**PARSER_OPTIONS)
    parser.add_argument("--config", action="config")
    parser.add_argument("--data.test_subject", type=str | int | list[str | int], default=[])
    parser.add_argument("--data.val_subject", type=int | list[str | int], default=2)
    given = parser.parse_args(with_bases(["fit", *words])[1:])
    return {"test": given.data.test_subject, "val": given.data.val_subject}


@pytest.mark.parametrize("name", ODD)
def test_a_file_names_the_subject_that_is_written_there(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(f"data:\n  test_subject: [{name}]  # held out\n  val_subject:\n  - {name}\n")
    assert parsed("--config", str(path)) == {"test": [name], "val": [name]}
    path.write_text(f"data: {{test_subject: {name}}}\n")
    assert parsed("--config", str(path))["test"] == name


def test_a_base_file_keeps_names_too(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("data:\n  test_subject: [017]\n")
    (tmp_path / "b.yaml").write_text("base: a.yaml\ndata:\n  val_subject: [020]\n")
    assert parsed("--config", str(tmp_path / "b.yaml")) == {"test": ["017"], "val": ["020"]}


@pytest.mark.parametrize("name", ODD)
def test_an_option_names_the_subject_that_is_written_there(name: str) -> None:
    assert parsed("--data.test_subject", f"[{name}]", "--data.val_subject", f"[{name}]") == {
        "test": [name],
        "val": [name],
    }
    # A single name that needs no quotes stays as it is; both forms mean the same.
    assert parsed(f"--data.test_subject={name}")["test"] == (name if name == "s15" else [name])


@pytest.mark.parametrize("count", ["017", "1e3", "1:30", "no", "1_0"])
def test_a_count_that_could_be_a_name_is_refused_with_the_way_to_write_it(tmp_path: Path, count: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(f"data:\n  val_subject: {count}\n")
    for words in (["--config", str(path)], ["--data.val_subject", count]):
        with pytest.raises(ConfigError, match=rf"val_subject: \['{count}'\]"):
            parsed(*words)


def test_counts_references_and_quoted_names_stay() -> None:
    text = "{test_subject: ['017', \"no\", '${x}'], val_subject: 3, other: 017, x: {val_subject: ${n}}}"
    assert quote_names(text) == text


def test_a_file_that_needs_nothing_is_read_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("data:\n  test_subject: []\n  val_subject: 2\n")
    assert with_bases(["fit", "--config", str(path)]) == ["fit", "--config", str(path)]


def test_one_subject_has_one_name() -> None:
    assert find_subject("07", ["7", "17"]) == "7"
    assert find_subject("017", ["015", "017"]) == "017"
    assert find_subject("u\u0308", ["\u00fc"]) == "\u00fc"
    with pytest.raises(SplitError, match="could be 007 or 07"):
        find_subject(7, ["007", "07"])
    with pytest.raises(SplitError, match="is not in this corpus"):
        find_subject("1e3", ["1000"])
