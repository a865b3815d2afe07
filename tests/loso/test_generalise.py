"""A trained run tested on another corpus: as it is, on everyone there, and on nobody it has seen."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path

import pytest
import torch
from pulses import write_pulses
from pulses_data import FILE

from fedn_lightning.cli.main import main
from fedn_lightning.cli.runs import args_of_test
from fedn_lightning.datamodules.splits import split_subjects
from fedn_lightning.errors import CheckpointError, ConfigError, SplitError


@pytest.fixture
def run(copied) -> Path:
    """A fold as the run; `harder` is another corpus, with people of the same names."""
    corpus = write_pulses(Path("harder/store"), 2, 200, seed=3)
    Path("harder", FILE).write_bytes(pickle.dumps(corpus))
    return copied.folder("p1")


def test_everyone_of_the_other_corpus_is_tested_at_the_thresholds_of_the_run(run, capsys) -> None:
    assert main(["generalise", str(run), "harder", "--store", "harder/store", "--run_dir", "runs/on_harder"]) == 0
    folder = Path("runs/on_harder/test")
    result = json.loads((folder / "result.json").read_text())
    assert result["subjects"] == ["p0", "p1"]  # p0 is who the run was trained on, by name
    saved = torch.load(run / "checkpoints/best.ckpt", weights_only=True)
    assert "p0" in {*saved["fedn"]["subjects"]["train"], *saved["fedn"]["subjects"]["val"]}
    found = [result["threshold"][kind] for kind in ("macro", "micro")]
    assert [float("inf") if value is None else value for value in found] == saved["state_dict"]["threshold"].tolist()
    assert main(["errors", str(run), str(folder), "--names", "own", "other"]) == 0
    assert "other: F1" in capsys.readouterr().out


def test_people_the_run_has_seen_are_refused_even_in_a_copy(run, capsys) -> None:
    shutil.copytree("pulses", "copy")
    assert main(["generalise", str(run), "copy", "--store", "copy/store"]) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "The checkpoint was trained or validated on p0, p2 of copy" in told
    words = ["test", "--config", str(run / "config.yaml"), "--data.test_subject", "p0"]
    assert main(words) == 2
    assert "trained or validated on p0" in " ".join(capsys.readouterr().err.split())


def test_a_checkpoint_without_a_record_of_subjects_is_used_with_a_warning(run) -> None:
    path = run / "checkpoints/best.ckpt"
    content = torch.load(path, weights_only=True)
    del content["fedn"]["people"]
    torch.save(content, path)
    with pytest.warns(UserWarning, match="people called p0 and is too old to say who they were"):
        assert main(["generalise", str(run), "harder", "--store", "harder/store"]) == 0


@pytest.mark.parametrize("command", ["fit", "validate"])
def test_nobody_is_left_to_train_or_validate_on(run, capsys, command) -> None:
    words = [command, "--config", str(run / "config.yaml"), "--run_dir", "runs/again", "--data.test_subject", "all"]
    words += ["--ckpt_path", str(run / "checkpoints/best.ckpt")] if command == "validate" else []
    assert main(words) == 2
    assert "leaves nobody to train or validate on" in " ".join(capsys.readouterr().err.split())


def test_the_words_keep_crops_and_results_of_two_corpora_apart(run) -> None:
    words = args_of_test(run, Path("elsewhere/harder/"), "csv")
    options = dict(zip(words[1::2], words[2::2], strict=True))
    assert options["--data.crops.store"] == "pulses/harder"  # beside pulses/store
    assert options["--run_dir"] == str(run.with_name("p1_on_harder"))
    assert options["--data.corpus.dataset"] == "csv"


def test_what_is_no_finished_run_is_named(run) -> None:
    (run / "checkpoints/best.ckpt").unlink()
    with pytest.raises(CheckpointError, match="not a finished run"):
        args_of_test(run, Path("harder"))
    (run / "config.yaml").write_text("data: {init_args: {corpus: {root: x}}}")
    (run / "checkpoints/best.ckpt").write_bytes(b"")
    with pytest.raises(ConfigError, match="names no clip store"):
        args_of_test(run, Path("harder"))
    with pytest.raises(ConfigError, match=r"it has no config\.yaml"):
        args_of_test(Path("nowhere"), Path("harder"))


def test_all_stands_for_everyone_unless_somebody_is_called_so() -> None:
    split = split_subjects(["a", "b"], ["all"], 2)
    assert (split.train, split.val, split.test) == ((), (), ("a", "b"))
    assert split_subjects(["a", "all", "b"], ["all"], 1).test == ("all",)
    with pytest.raises(SplitError, match="'all' is not in this corpus"):
        split_subjects(["a", "b", "c"], ["a", "all"], 1)
