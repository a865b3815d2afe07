"""Corpora and stills of three-dimensional heads."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from fedn_lightning.errors import ConfigError
from fedn_synth.plan.corpus_plan import plan_corpus
from fedn_synth.plan.presets import find_preset
from fedn_synth.write.corpus import DEFAULTS, Job, render, settings, write_scene
from fedn_synth.write.output import begin_or_resume
from fedn_synth.write.stills import StillsJob, write_stills
from support.heads import needs_anny

JOB = Job("tiny", seed=2, faces="3d", pose=30)
STILLS = StillsJob(seed=1, identities=3, per_identity=2, size=64, faces="3d", pose=20)


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def short_scene():
    return replace(plan_corpus(find_preset("tiny"), JOB.seed)[0], n_frames=60, expressions=(), overlaps=())


def test_settings_of_flat_faces_are_written_as_before():
    assert set(settings(Job("tiny", 0))) == {"preset", "seed", "form", "hard", "version"}
    assert settings(JOB)["faces"] == "3d"
    assert settings(JOB)["pose"] == 30


def test_one_kind_of_faces_never_goes_on_with_the_other_s_folder(tmp_path: Path):
    begin_or_resume(tmp_path / "a", "corpus", settings(JOB), DEFAULTS)
    with pytest.raises(ConfigError, match="Choose another folder"):
        begin_or_resume(tmp_path / "a", "corpus", settings(replace(JOB, faces="2d", pose=0.0)), DEFAULTS)
    begin_or_resume(tmp_path / "b", "corpus", settings(Job("tiny", 2)), DEFAULTS)
    with pytest.raises(ConfigError, match="Choose another folder"):
        begin_or_resume(tmp_path / "b", "corpus", settings(JOB), DEFAULTS)


@needs_anny
def test_the_people_are_others_than_the_flat_ones():
    assert JOB.people != replace(JOB, faces="2d").people
    assert STILLS.people not in {JOB.people, replace(STILLS, faces="2d").people}


@needs_anny
def test_a_video_is_the_same_every_time(tmp_path: Path):
    scene = short_scene()
    for name in ("one", "two"):
        (tmp_path / name / "rawvideo" / scene.parent).mkdir(parents=True)
        write_scene(tmp_path / name, JOB, scene, lambda done: None)
    assert files(tmp_path / "one") == files(tmp_path / "two")
    assert len(files(tmp_path / "one")) == 2


@needs_anny
def test_frames_do_not_depend_on_those_before():
    from fedn_synth.plan.video_plan import plan_video

    scene, preset = short_scene(), find_preset("tiny")
    plan = plan_video(scene, preset, JOB.seed, JOB.conditions)
    frames = list(render(scene, preset, JOB, plan.tracks, lambda done: None))
    again = next(render(scene, preset, JOB, plan.tracks, lambda done: None))
    assert (frames[0] == again).all()
    assert len(frames) == 60


@needs_anny
def test_stills_are_resumed_and_do_not_depend_on_the_processes(tmp_path: Path):
    write_stills(tmp_path / "one", STILLS, jobs=1)
    write_stills(tmp_path / "two", STILLS, jobs=2)
    whole = files(tmp_path / "one")
    assert whole == files(tmp_path / "two")
    assert json.loads(whole["stills.json"])["faces"] == "3d"

    (tmp_path / "one" / "stills.json").rename(tmp_path / "one" / "stills.unfinished.json")
    (tmp_path / "one" / "train_set" / "images" / "1.jpg").unlink()
    write_stills(tmp_path / "one", STILLS, jobs=1)
    assert files(tmp_path / "one") == whole


@pytest.mark.parametrize(
    ("job", "message"),
    [
        (Job("tiny", 0, faces="2d", pose=20), "needs --faces 3d"),
        pytest.param(Job("tiny", 0, faces="3d", pose=60), "between 4 and 40", marks=needs_anny),
        pytest.param(Job("tiny", 0, hard=True, faces="3d", pose=5), "between 7 and 40", marks=needs_anny),
    ],
)
def test_impossible_poses_end_with_a_sentence(job: Job, message: str, tmp_path: Path):
    from fedn_synth.write.corpus import write_corpus

    with pytest.raises(ConfigError, match=message):
        write_corpus(tmp_path / "new", job)
    assert not (tmp_path / "new").exists()
