""""""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from report_runs import pool_runs, write_run
from toys import make_record

from fedn_lightning.errors import ConfigError, PredictionFileError
from fedn_lightning.events import Corpus, Expression, Video
from fedn_lightning.metrics.functional.threshold import at_threshold
from fedn_lightning.results import run_folder as run_files
from fedn_lightning.results.run_folder import RunFolder, read_run


@pytest.fixture
def used(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "result.json").write_text("{}")
    return folder


def test_an_earlier_run_is_moved_aside(used: Path) -> None:
    folder = RunFolder(used)
    aside = folder.open()
    assert aside is not None
    assert (aside / "result.json").is_file()
    assert list(used.iterdir()) == []


def test_two_runs_of_one_second_get_two_names(used: Path) -> None:
    run = RunFolder(used)
    first = run.open()
    run.close()
    (used / "x").touch()
    (used / "x").unlink()
    (used / "result.json").write_text("{}")
    second = RunFolder(used).open()
    assert None not in (first, second)
    assert first != second


def test_abandoning_puts_the_earlier_run_back(used: Path) -> None:
    folder = RunFolder(used)
    folder.open()
    (used / "half").touch()
    folder.abandon()
    assert [path.name for path in used.parent.iterdir()] == ["run"]
    assert [path.name for path in used.iterdir()] == ["result.json"]


def test_a_resumed_run_stays_whatever_happens(used: Path) -> None:
    folder = RunFolder(used, resume=True)
    assert folder.open() is None
    folder.abandon()
    assert (used / "result.json").is_file()


def test_an_empty_folder_is_simply_taken(tmp_path: Path) -> None:
    assert RunFolder(tmp_path).open() is None


def test_abandoning_leaves_no_empty_folders(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "runs" / "a" / "b")
    folder.open()
    (tmp_path / "runs" / "other").mkdir()
    folder.abandon()
    assert [path.name for path in tmp_path.rglob("*")] == ["runs", "other"]


def test_a_second_process_is_kept_out_until_the_first_has_finished(used: Path) -> None:
    first = RunFolder(used)
    first.open()
    (used / "config.yaml").write_text("mine")
    with pytest.raises(ConfigError, match="Another process is writing to the run folder"):
        RunFolder(used).open()
    with pytest.raises(ConfigError, match="--run_dir"):
        RunFolder(used, resume=True).open()
    assert (used / "config.yaml").read_text() == "mine"
    first.close()
    assert RunFolder(used).open() is not None


def test_a_lock_leaves_nothing_behind(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    run.open()
    run.close()
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


CORPUS = {"corpus": {"dataset": "casme3", "root": "."}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run", make_record(), {})


def same(one: object, other: object) -> bool:
    return sorted(one.to_rows()[:, 2:5].tolist()) == sorted(other.to_rows()[:, 2:5].tolist())  # type: ignore[attr-defined]


def test_a_run_is_read_back_as_it_was_recorded(folder: Path) -> None:
    run, record = read_run(folder, draws=10), make_record()
    assert same(run.truths, record.truths)
    assert same(run.proposals, record.predictions)
    assert same(run.predicted, at_threshold(record.predictions, record.threshold))
    assert run.n_frames == (300, 300)
    assert run.thresholds == {"run": (0.5, 0.5)}
    assert run.strict.evaluation.spotting.to_dict() == run.result["spotting"]
    assert run.strict.evaluation.detection.mean((0.5,)) == run.result["detection"]["map@0.5"]
    assert run.homes == {"05": folder}
    assert (run.pooled, run.published, run.generated) == (False, None, None)


def test_pooled_folds_are_found_from_the_experiment_and_know_their_homes(tmp_path: Path) -> None:
    study = tmp_path / "toy" / "0badcafe"
    homes = {name: write_run(study / "seed7" / name, make_record(name), {}) for name in ("05", "06+07")}
    pool_runs(study, homes, make_record("06"))
    for place in (tmp_path / "toy", study, study / "pooled-seed7"):
        run = read_run(place, draws=10)
        assert run.pooled
        assert run.published is not None
        assert run.homes == {"05": homes["05"], "06": homes["06+07"], "07": homes["06+07"]}
        assert run.config.experiment == "toy"


def test_a_threshold_that_found_nothing_is_infinite(folder: Path) -> None:
    result = json.loads((folder / "result.json").read_text())
    result["threshold"]["micro"] = None
    (folder / "result.json").write_text(json.dumps(result))
    assert read_run(folder, draws=10).thresholds == {"run": (0.5, math.inf)}


def test_frames_count_from_the_first_of_the_release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    videos = tuple(replace(video, first_frame=200) for video in make_record().videos)
    record = replace(make_record(), videos=videos)
    folder = write_run(tmp_path / "run", record, CORPUS)
    monkeypatch.setattr(run_files, "read_all", lambda *_, **__: Corpus("toy", videos, ()))
    assert same(read_run(folder, draws=10).truths, record.truths)
    assert (tmp_path / "run" / "truth.csv").read_text().splitlines()[1].startswith("05,05_0101disgust,230,269")


def test_generated_faces_are_known_by_the_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video = Video("toy", "05", "05_0101disgust", "", 30.0)
    corpus = Corpus("toy", (video,), (Expression("toy", "05", video.name, 30, 70, 50, "macro", "negative"),))
    monkeypatch.setattr(run_files, "read_all", lambda *_, **__: corpus)
    folder = write_run(tmp_path / "run", make_record(), CORPUS)
    assert read_run(folder, draws=10).generated is False
    (tmp_path / "corpus.json").write_text("{}")  # paths start from where the run was started
    assert read_run(folder, draws=10).generated is True


def test_missing_files_are_reported_and_the_others_read(folder: Path) -> None:
    for name in ("proposals.csv", "result.json", "config.yaml", "env.txt"):
        (folder / name).unlink()
    run = read_run(folder, draws=10)
    assert [note.split()[0] for note in run.notes] == ["result.json", "proposals.csv", f"{folder / 'config.yaml'}"]
    assert len(run.predicted) == len(run.proposals) == 3
    assert np.isfinite(run.strict.evaluation.spotting.overall.f1)


def test_a_missing_corpus_is_reported(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", make_record(), {"corpus": {"dataset": "casme2", "root": "nowhere"}})
    run = read_run(folder, draws=10)
    assert run.corpus is None
    assert run.generated is None
    assert "apexes are not known" in run.notes[0]


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PredictionFileError, match=r"holds no result of a run: predictions\.csv, truth\.csv"):
        read_run(tmp_path)
