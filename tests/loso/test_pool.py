"""Pooled numbers are those of `fedn evaluate` on the pooled files, and folds that do not fit are refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from studies import fake_fold, make_experiment

from fedn_lightning.cli.main import main
from fedn_lightning.errors import FoldError
from fedn_lightning.loso.experiment import Fold, make_folds
from fedn_lightning.loso.pool import pool, pool_seeds, print_seeds
from fedn_lightning.loso.status import read_status
from fedn_lightning.results.run_folder import read_run


@pytest.fixture
def study(tmp_path: Path):
    experiment = make_experiment(tmp_path)
    folds = make_folds(list(experiment.subjects), [7])
    for fold in folds:
        fake_fold(experiment, fold)
    return experiment, folds


def evaluate(capsys: pytest.CaptureFixture[str], folder: Path, predictions: str, *options: str) -> dict:
    files = ["--predictions", folder / predictions, "--truth", folder / "truth.csv", "--videos", folder / "videos.csv"]
    assert main(["evaluate", *map(str, files), "--per-subject", "--bootstrap", "50", "--json", *options]) == 0
    return json.loads(capsys.readouterr().out)


def test_strict_and_published_are_what_evaluate_says(study, capsys: pytest.CaptureFixture[str]) -> None:
    pooled = pool_seeds(*study, study[1], draws=50)[0]
    result = json.loads((pooled.folder / "result.json").read_text())
    strict = evaluate(capsys, pooled.folder, "predictions.csv")
    published = evaluate(capsys, pooled.folder, "proposals.csv", "--select", "published", "--per-type")
    for name, wanted in (("strict", strict), ("published", published)):
        for key in ("protocol", "spotting", "recognition", "strs", "per_subject"):
            assert result[name][key] == wanted[key], (name, key)
    # mAP ranks every proposal, whatever was predicted.
    assert result["strict"]["detection"] == result["published"]["detection"] == published["detection"]
    assert result["published"]["bootstrap"] == published["bootstrap"]
    intervals = {**strict["bootstrap"]["intervals"]}
    intervals["detection.map@0.5"] = published["bootstrap"]["intervals"]["detection.map@0.5"]
    assert result["strict"]["bootstrap"]["intervals"] == intervals
    assert "selected on test data" in result["published"]["selection"]["label"]
    assert result["strict"]["selection"]["mode"] == "strict"


def test_whom_thresholds_were_chosen_on_is_read_from_the_folds(study, capsys: pytest.CaptureFixture[str]) -> None:
    experiment, folds = study
    assert "chosen on validation subjects" in pool(experiment, folds, draws=1).strict.selection.label
    for fold in folds:
        fake_fold(experiment, fold, chosen_on="training")
    pooled = pool_seeds(experiment, folds, folds, draws=1)
    print_seeds(pooled, Console(width=200))
    assert "settings were chosen on its training subjects" in capsys.readouterr().out
    result = json.loads((pooled[0].folder / "result.json").read_text())
    assert (result["chosen_on"], "intervals" in result) == ("training", False)
    assert read_run(pooled[0].folder, draws=1).strict.selection.label == pooled[0].strict.selection.label


def test_given_intervals_are_no_spotting_score(study, capsys: pytest.CaptureFixture[str]) -> None:
    experiment, folds = study
    for fold in folds:
        fake_fold(experiment, fold, intervals="truth")
    pooled = pool_seeds(experiment, folds, folds, draws=1)
    print_seeds(pooled, Console(width=400))
    for said in (capsys.readouterr().out, (pooled[0].folder / "result.md").read_text()):
        assert "recognition on labelled intervals" in said
        assert "UF1" in said
        assert "F1 overall" not in said
        assert "overall F1" not in said


def test_counts_are_summed_and_f1_is_not_averaged(study) -> None:
    experiment, folds = study
    own = [json.loads((experiment.fold_folder(f) / "result.json").read_text())["spotting"]["overall"] for f in folds]
    pooled = pool(experiment, folds, draws=1).strict.evaluation.spotting.overall
    assert (pooled.tp, pooled.fp, pooled.fn) == tuple(sum(fold[key] for fold in own) for key in ("tp", "fp", "fn"))
    assert len({fold["f1"] for fold in own}) > 1
    assert pooled.f1 != pytest.approx(sum(fold["f1"] for fold in own) / len(own))


def test_thresholds_stay_those_of_the_folds(study) -> None:
    pooled = pool(*study, draws=1)
    assert pooled.thresholds == {"a": (0.5, 0.5), "b": (0.05, 0.5), "c": (0.5, 0.5)}
    assert len(pooled.strict.predictions.events) == 3 + 4 + 3


def test_the_confusion_is_that_of_all_true_positives(study) -> None:
    # Each subject: negative found as negative; positive found as surprise; b also finds the unlabelled one.
    pooled = pool(*study, draws=1)
    assert pooled.strict.emotions == ("negative", "positive", "surprise")
    assert pooled.confusion.tolist() == [[3, 0, 0, 0], [0, 0, 3, 0], [0, 0, 0, 0]]


def test_a_missing_fold_fails_loudly(study) -> None:
    experiment, folds = study
    shutil.rmtree(experiment.fold_folder(folds[1]))
    with pytest.raises(FoldError, match=r"The fold b \(seed 7\) is not finished: it has not been run \(.*seed7/b\)"):
        pool(experiment, folds)


def test_a_subject_held_out_twice_fails_loudly(study) -> None:
    experiment, folds = study
    both = Fold(7, ("a", "b"))
    fake_fold(experiment, both)
    with pytest.raises(FoldError, match="Subject a is held out by two folds, a and a\\+b"):
        pool(experiment, [*folds, both])


def test_folds_of_another_configuration_fail_loudly(study) -> None:
    experiment, folds = study
    folder = experiment.fold_folder(folds[2])
    status = read_status(folder)
    assert status is not None
    replace(status, config_hash="deadbeef").write(folder)
    with pytest.raises(FoldError, match=r"seed7/c holds a fold of configuration deadbeef, expected 0badcafe"):
        pool(experiment, folds)


def test_folds_of_two_seeds_are_not_pooled_together(study) -> None:
    experiment, folds = study
    with pytest.raises(FoldError, match=r"one seed are pooled, got seeds \[7, 8\]"):
        pool(experiment, [*folds, Fold(8, ("a",))])


def test_changed_predictions_fail_loudly(study) -> None:
    experiment, folds = study
    with (experiment.fold_folder(folds[0]) / "predictions.csv").open("a") as file:
        file.write("a,05_0102calm,1,20,macro,,0.9,1\n")
    with pytest.raises(FoldError, match=r"predictions\.csv has changed since it was written"):
        pool(experiment, folds)


def test_a_video_that_was_not_looked_at_fails_loudly(study) -> None:
    experiment, folds = study
    more = replace(experiment, subjects={**experiment.subjects, "b": 3})
    with pytest.raises(FoldError, match=r"Subject b has 3 videos in the corpus and 2 in the folds' videos\.csv"):
        pool(more, folds)


def test_some_folds_give_a_partial_study_that_says_so(study) -> None:
    experiment, folds = study
    complete = pool_seeds(experiment, folds, folds[:1], draws=1)[0]
    assert complete.missing == ()  # all are finished, so all are pooled
    shutil.rmtree(experiment.fold_folder(folds[2]))
    partial = pool_seeds(experiment, folds, folds[:2], draws=1)[0]
    assert partial.missing == ("c",)
    assert partial.folder.name == "pooled-seed7-partial"
    assert "PARTIAL: 1 subjects are missing" in (partial.folder / "result.md").read_text()
    assert json.loads((experiment.folder / "loso.json").read_text())["by_seed"]["7"]["complete"]


def test_seeds_are_pooled_apart_and_summarised(tmp_path: Path) -> None:
    experiment = make_experiment(tmp_path)
    folds = make_folds(list(experiment.subjects), [7, 14])
    for fold in folds:
        fake_fold(experiment, fold)
    study = pool_seeds(experiment, folds, folds, draws=1)
    assert [pooled.folder.name for pooled in study] == ["pooled-seed7", "pooled-seed14"]
    summary = json.loads((experiment.folder / "loso.json").read_text())
    assert summary["seeds"] == [7, 14]
    values = [by["strict"]["spotting"]["overall"]["f1"] for by in summary["by_seed"].values()]
    assert summary["over_seeds"]["strict"]["spotting.overall.f1"]["mean"] == pytest.approx(sum(values) / 2)


def test_groups_pool_to_the_same_subjects(tmp_path: Path) -> None:
    experiment = make_experiment(tmp_path, subjects=4, group=2)
    folds = make_folds(list(experiment.subjects), [7], 2)
    for fold in folds:
        fake_fold(experiment, fold)
    pooled = pool_seeds(experiment, folds, folds, draws=1)[0]
    assert pooled.folder.name == "pooled-seed7-group2"
    assert list(pooled.strict.per_subject or {}) == ["a", "b", "c", "d"]
