"""Experiment files before the parser reads them: bases, and names of subjects that stay text."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fedn_lightning.cli.config import quote_names, with_bases
from fedn_lightning.cli.parsing import PARSER_OPTIONS, FednParser, prepare_parsing
from fedn_lightning.datamodules.splits import find_subject
from fedn_lightning.errors import ConfigError, SplitError


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(path: str, text: str) -> str:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)
    return path


def test_a_file_comes_after_its_base_and_that_after_its_own() -> None:
    write("a.yaml", "lr: 1\n")
    write("sub/b.yaml", "base: ../a.yaml\nlr: 2\n")
    write("sub/c.yaml", "base: b.yaml\nname: c\n")
    words = with_bases(["fit", "--config", "sub/c.yaml", "--lr", "3"])
    assert words == [
        "fit",
        "--config",
        "sub/../a.yaml",
        "--config",
        '{"lr": 2}',
        "--config",
        '{"name": "c"}',
        "--lr",
        "3",
    ]


def test_other_words_and_files_without_a_base_stay() -> None:
    write("a.yaml", "lr: 1\n")
    for words in (["fit", "--config=a.yaml"], ["fit", "-c", "a.yaml", "--x=base"], ["fit", "--config"], ["test", "c"]):
        assert [word for w in with_bases(words) for word in w.split("=")] == [w for x in words for w in x.split("=")]


def test_a_file_that_is_not_there_is_left_to_the_parser() -> None:
    assert with_bases(["fit", "--config", "nowhere.yaml"]) == ["fit", "--config", "nowhere.yaml"]


def test_references_keep_their_form() -> None:
    write("a.yaml", "lr: 1\n")
    write("b.yaml", "base: a.yaml\nrun_dir: runs/${experiment}\n")
    assert json.loads(with_bases(["fit", "-c", "b.yaml"])[-1]) == {"run_dir": "runs/${experiment}"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("base: nowhere.yaml\n", r"b\.yaml names the base nowhere\.yaml, but there is no file sub/nowhere\.yaml"),
        ("base: 3\n", r"sub/b\.yaml: the key base must be the path of an experiment file, not 3"),
        ("base: b.yaml\n", r"is based on itself: b\.yaml -> b\.yaml"),
        ("base: c.yaml\n", r"c\.yaml is based on itself: b\.yaml -> c\.yaml -> b\.yaml"),
        ("base: broken.yaml\n", r"sub/broken\.yaml, line \d, is not YAML"),
    ],
)
def test_a_wrong_base_is_one_sentence(text: str, message: str) -> None:
    write("sub/b.yaml", text)
    write("sub/c.yaml", "base: b.yaml\n")
    write("sub/broken.yaml", "a: [1\n")
    with pytest.raises(ConfigError, match=message):
        with_bases(["fit", "--config", "sub/b.yaml"])


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
