"""Nothing of a held-out subject reaches its fold: not its pictures, not its labels, not another fold's weights."""

from __future__ import annotations

import pickle
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from forked import start_forked
from pulses import write_video
from pulses_data import FILE
from studies import CONF, Study

from fedn_lightning.cli.inspection import inspect
from fedn_lightning.datamodules.splits import split_subjects
from fedn_lightning.errors import CheckpointError, ConfigError, FoldError
from fedn_lightning.loso.status import resumable
from fedn_lightning.loso.worker import Resources


def checkpoint(study: Study, name: str, which: str = "best") -> dict[str, Any]:
    path = study.home / study.folder(name) / "checkpoints" / f"{which}.ckpt"
    return torch.load(path, weights_only=True)


def spoil(home: Path, subject: str) -> None:
    """Replaces a subject's pictures by noise and its labels by others."""
    corpus = pickle.loads((home / "pulses" / FILE).read_bytes())
    video = next(video for video in corpus.videos if video.subject == subject)
    noise = np.random.default_rng(0).integers(0, 256, (video.n_frames, 16, 16, 3), np.uint8)
    write_video(home / "pulses" / "store", video, noise)
    changed = tuple(
        replace(e, start=e.start + 40, end=e.end + 40, emotion="positive") if e.subject == subject else e
        for e in corpus.expressions
    )
    (home / "pulses" / FILE).write_bytes(pickle.dumps(replace(corpus, expressions=changed)))


def test_a_fold_does_not_depend_on_videos_and_labels_of_its_test_subject(reference, copied) -> None:
    # Weights, optimiser, thresholds, best epoch, statistics and class weights are all in the checkpoint.
    copied.without("p1")
    spoil(copied.home, "p1")
    outcome = copied.run("p1")
    assert outcome.state == "finished", outcome.reason
    for which in ("best", "last"):
        ours, theirs = checkpoint(copied, "p1", which), checkpoint(reference, "p1", which)
        assert ours["epoch"] == theirs["epoch"]
        assert ours["fedn"] == theirs["fedn"]
        for name, value in theirs["state_dict"].items():
            assert torch.equal(ours["state_dict"][name], value), name
    tables = [study.home / study.folder("p1") / "proposals.csv" for study in (copied, reference)]
    assert tables[0].read_bytes() != tables[1].read_bytes()  # the test did look at what was spoilt


def test_a_training_subject_does_change_a_fold(reference, copied) -> None:
    # The control: were checkpoints blind to the corpus, the test above could not fail.
    copied.without("p1")
    spoil(copied.home, checkpoint(reference, "p1")["fedn"]["subjects"]["train"][0])
    outcome = copied.run("p1")
    assert outcome.state == "finished", outcome.reason
    ours, theirs = checkpoint(copied, "p1"), checkpoint(reference, "p1")
    assert not all(torch.equal(ours["state_dict"][name], value) for name, value in theirs["state_dict"].items())


def test_a_fold_trains_and_validates_on_the_others_and_says_so(reference) -> None:
    for fold in reference.folds:
        record = checkpoint(reference, fold.name)["fedn"]["subjects"]
        assert record["test"] == fold.subjects
        assert not set(record["test"]) & {*record["train"], *record["val"]}
        assert sorted({*record["train"], *record["val"], *record["test"]}) == list(reference.experiment.subjects)
        again = split_subjects(list(reference.experiment.subjects), fold.subjects, 1, fold.seed)
        assert (again.train, again.val) == (record["train"], record["val"])


def test_the_cache_of_features_holds_nothing_that_depends_on_the_split(reference) -> None:
    # One file per video: computed before any fold, by the frozen encoder, one frame at a time.
    assert len(list((reference.home / "pulses/store/features").rglob("*.npy"))) == len(reference.folds)


def test_another_folds_state_is_not_resumed(copied) -> None:
    shutil.rmtree(copied.folder("p1") / "checkpoints")
    shutil.copytree(copied.folder("p0") / "checkpoints", copied.folder("p1") / "checkpoints")
    assert resumable(copied.folder("p1"), copied.fold("p1")) is None
    content = checkpoint(copied, "p1", "last")
    record = content["fedn"]["subjects"]
    content["fedn"]["subjects"] = {**record, "test": ("p1",), "train": (*record["train"], "p1")}
    torch.save(content, copied.folder("p1") / "checkpoints" / "last.ckpt")
    assert resumable(copied.folder("p1"), copied.fold("p1")) is None  # it names the right subject, but has seen it


@pytest.mark.parametrize("damage", [b"", b"half a checkpoint"])
def test_a_damaged_checkpoint_is_not_resumed(copied, damage: bytes) -> None:
    (copied.folder("p1") / "checkpoints" / "last.ckpt").write_bytes(damage)
    assert resumable(copied.folder("p1"), copied.fold("p1")) is None


def test_a_fold_on_slurm_does_not_resume_from_what_lies_in_a_shared_folder(
    copied, same_files, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On SLURM, Lightning resumes a fresh run from any hpc_ckpt_*.ckpt in its root folder, here fold p0's.
    for folder in (Path(), Path("runs"), copied.experiment.folder, copied.folder("p1").parent, copied.folder("p1")):
        shutil.copy(copied.folder("p0") / "checkpoints/last.ckpt", folder / "hpc_ckpt_1.ckpt")
    shutil.rmtree(copied.folder("p1") / "checkpoints")
    for name in ("status.json", "result.json"):
        (copied.folder("p1") / name).unlink()
    simulate_slurm(monkeypatch)
    outcome = copied.run("p1")
    assert outcome.state == "finished", outcome.reason
    assert same_files(copied)
    assert not (copied.folder("p1") / "hpc_ckpt_1.ckpt").exists()


def test_the_slurm_trap_is_real(copied, monkeypatch: pytest.MonkeyPatch) -> None:
    # The control: with a root folder in common the fold trains no epoch, since p0's checkpoint says they are all done,
    # and would be tested with p0's weights, had these not seen p1.
    shutil.copy(copied.folder("p0") / "checkpoints/last.ckpt", "hpc_ckpt_1.ckpt")
    copied.without("p1")
    simulate_slurm(monkeypatch)
    words = [*copied.experiment.command(copied.fold("p1")), "--trainer.default_root_dir", "."]
    process = start_forked(words, Resources().environment(), Path("log.txt"), 0)
    while process.poll() is None:
        time.sleep(0.05)
    assert process.poll() == 2
    assert "trained or validated on p1" in " ".join(Path("log.txt").read_text().split())
    assert not list(copied.folder("p1").glob("checkpoints/*.ckpt"))  # no epoch was trained


def simulate_slurm(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {"NTASKS": "1", "JOB_ID": "4711", "JOB_NAME": "loso", "PROCID": "0", "LOCALID": "0", "NODEID": "0"}
    for name, value in values.items():
        monkeypatch.setenv(f"SLURM_{name}", value)


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        (["--trainer.default_root_dir", "."], ConfigError, "trainer.default_root_dir is '.'.*resume from another"),
        (["--ckpt_path=x.ckpt"], FoldError, "--ckpt_path differs from fold to fold"),
        (["--data.init_args.test_subject", "p0"], FoldError, "--data.test_subject differs from fold to fold"),
        (["--test_after_fit", "false"], ConfigError, "test_after_fit is false"),
    ],
)
def test_settings_that_join_folds_are_refused(copied, words: list[str], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        inspect(["--config", str(CONF), *words], "runs")


def test_a_checkpoint_in_the_configuration_is_refused(copied) -> None:
    Path("resume.yaml").write_text(CONF.read_text() + "ckpt_path: elsewhere.ckpt\n")
    with pytest.raises(ConfigError, match=r"ckpt_path is 'elsewhere.ckpt': a checkpoint to start from may have seen"):
        inspect(["--config", "resume.yaml"], "runs")


def test_encoder_weights_that_have_seen_a_subject_are_refused(copied) -> None:
    weights = str(copied.folder("p0") / "checkpoints/best.ckpt")
    with pytest.raises(CheckpointError, match=r"best.ckpt were trained on subjects p1, p2 of pulses, which the folds"):
        inspect(["--config", str(CONF), "--model.encoder.weights", weights], "runs")
    content = torch.load(weights, weights_only=True)
    content["fedn"]["dataset"] = "another corpus"
    torch.save(content, "other.ckpt")
    found = inspect(["--config", str(CONF), "--model.encoder.weights", "other.ckpt"], "runs")
    assert found.config_hash != copied.experiment.config_hash


def test_the_hash_follows_weights_and_labels_but_not_seed_and_subject(copied) -> None:
    def hash_of(*words: str) -> str:
        return inspect(["--config", str(CONF), *words], "runs").config_hash

    first = copied.experiment.config_hash
    assert hash_of("--wandb.mode", "disabled") == first
    assert hash_of("--trainer.max_epochs", "7") != first
    Path("seeded.yaml").write_text(CONF.read_text().replace("seed_everything: 7", "seed_everything: 8"))
    assert inspect(["--config", "seeded.yaml"], "runs").config_hash == first
    spoil(copied.home, "p2")
    assert hash_of() != first
