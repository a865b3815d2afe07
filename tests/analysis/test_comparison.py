"""Paired differences: against an independent reference, and what is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from studies import fake_fold, make_experiment

from fedn_lightning.analysis.comparison import compare, comparison_latex, comparison_markdown, difference
from fedn_lightning.cli.main import main
from fedn_lightning.errors import PredictionFileError
from fedn_lightning.loso.experiment import make_folds
from fedn_lightning.loso.pool import pool


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    """Two pooled studies of six subjects; the second claims less, since its scores are higher but some are cut."""
    folders = []
    for name in ("one", "two"):
        experiment = replace(make_experiment(tmp_path, subjects=6), name=name)
        folds = make_folds(list(experiment.subjects), [7])
        for fold in folds:
            fake_fold(experiment, fold)
        folders.append(pool(experiment, folds, draws=1).folder)
    table = folders[1] / "predictions.csv"
    head, *rows = table.read_text().splitlines(keepends=True)
    table.write_text(head + "".join(row for row in rows if not row.startswith(("a,", "c,"))))
    return folders


def counts(folder: Path) -> np.ndarray:
    """TP, FP and FN of each subject, told from the files by hand: a video's hits are its truths that are predicted."""
    truth = {"32,70", "31,70", "33,70", "120,133", "201,240"}
    rows = [line.split(",") for line in (folder / "predictions.csv").read_text().splitlines()[1:]]
    found = np.zeros((6, 3), int)
    for subject in range(6):
        mine = [row for row in rows if row[0] == "abcdef"[subject]]
        hits = sum(f"{row[2]},{row[3]}" in truth for row in mine)
        found[subject] = hits, len(mine) - hits, 3 - hits
    return found


def f1(total: np.ndarray) -> float:
    tp, fp, fn = total
    return 2 * tp / (2 * tp + fp + fn)


def test_differences_are_those_of_a_paired_bootstrap(runs: list[Path]) -> None:
    found = compare(runs, ["one", "two"], draws=400, seed=3)
    one, two = counts(runs[0]), counts(runs[1])
    delta = found.differences[0]["spotting.overall.f1"]
    assert found.scores[0]["spotting.overall.f1"] == pytest.approx(f1(one.sum(0)))
    assert delta.value == pytest.approx(f1(two.sum(0)) - f1(one.sum(0)))
    weights = np.random.default_rng(3).multinomial(6, [1 / 6] * 6, size=400)
    drawn = np.array([f1(w @ two) - f1(w @ one) for w in weights])
    assert (delta.low, delta.high) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])))
    assert delta.better == pytest.approx(np.mean((drawn > 0) + 0.5 * (drawn == 0)))
    # Detection ranks all proposals, which are the same in both.
    assert found.differences[0]["detection.map@0.5"].value == 0


def test_a_paired_interval_is_narrower_than_the_difference_of_two_others() -> None:
    rng = np.random.default_rng(0)
    hard = rng.normal(0.5, 0.2, 2001)  # what is hard for one run is hard for the other
    paired = difference(hard + 0.05, hard)
    unpaired = difference(rng.permutation(hard) + 0.05, hard)
    assert paired.high - paired.low < 0.01 < unpaired.high - unpaired.low
    assert paired.better == 1.0


def test_equal_runs_are_no_better_than_each_other() -> None:
    assert difference(np.ones(5), np.ones(5)).better == 0.5
    assert np.isnan(difference(np.full(5, np.nan), np.ones(5)).better)


def test_the_command_writes_what_it_prints(
    runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = ["compare", *map(str, runs), "--names", "one", "two", "--bootstrap", "50", "--out", str(out)]
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert "F1 overall" in printed
    stored = json.loads((out / "comparison.json").read_text())
    assert stored["baseline"] == "one"
    assert stored["subjects"]["a"]["two"]["fn"] == 3
    assert (out / "comparison.png").read_bytes()[1:4] == b"PNG"
    assert "| a | 0.6667 | 0.0000 | -0.6667 |" in (out / "comparison.md").read_text()
    assert "\\toprule" in (out / "comparison.tex").read_text()
    assert main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == stored


def test_names_with_underscores_do_not_break_latex_or_markdown(runs: list[Path]) -> None:
    found = compare(runs, ["with_attention", "50%"], draws=10)
    assert "with\\_attention & 50\\%" in comparison_latex(found)
    assert "| with_attention |" in comparison_markdown(found)


def test_an_experiments_folder_stands_for_its_only_result(runs: list[Path]) -> None:
    found = compare([runs[0].parent, runs[1]], draws=10)
    assert found.folders == tuple(map(str, runs))
    assert found.names == ("one/0badcafe/pooled-seed7", "two/0badcafe/pooled-seed7")


def test_runs_that_cannot_be_compared_are_an_error(runs: list[Path], tmp_path: Path) -> None:
    with pytest.raises(PredictionFileError, match="Two runs or more are compared"):
        compare(runs[:1])
    with pytest.raises(PredictionFileError, match="A run or a name is given twice"):
        compare([runs[0], runs[0]])
    with pytest.raises(PredictionFileError, match=r"holds no result of a run: predictions\.csv"):
        compare([runs[0], tmp_path])
    (tmp_path / "one/0badcafe/pooled-seed8").symlink_to(runs[0])
    with pytest.raises(PredictionFileError, match="holds several results"):
        compare([runs[0].parent, runs[1]])


def test_other_truths_or_videos_are_refused(runs: list[Path]) -> None:
    truth = runs[1] / "truth.csv"
    whole = truth.read_text()
    truth.write_text(whole.replace("121", "122", 1))
    with pytest.raises(PredictionFileError, match="differ: the runs read the labels in different ways"):
        compare(runs)
    truth.write_text(whole)
    videos = runs[1] / "videos.csv"
    videos.write_text("".join(videos.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(
        PredictionFileError, match=r"not about the same videos: 1 are in one alone, e\.g\. f/05_0102calm"
    ):
        compare(runs)
