from __future__ import annotations

import json
from pathlib import Path

import pytest

from fedn_lightning.cli.config import with_bases
from fedn_lightning.errors import ConfigError


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
