"""The whole way from a planned scene to a file, with faces."""

from dataclasses import replace
from pathlib import Path

import decord
import numpy as np
import pytest

from fedn_synth.plan.corpus_plan import plan_corpus
from fedn_synth.plan.presets import PRESETS
from fedn_synth.write.corpus import Job, video_path, write_scene

SCENE = replace(plan_corpus(PRESETS["tiny"], 0)[0], n_frames=24, expressions=(), overlaps=frozenset())


def film(out: Path, job: Job) -> Path:
    path = video_path(out, SCENE, job.form)
    path.parent.mkdir(parents=True)
    write_scene(out, job, SCENE, lambda _: None)
    return path


@pytest.fixture(scope="module")
def ordinary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return film(tmp_path_factory.mktemp("film"), Job("tiny", 0))


def frames_of(path: Path) -> np.ndarray:
    reader = decord.VideoReader(str(path), num_threads=1)
    return reader.get_batch(list(range(len(reader)))).asnumpy().astype(np.float32)


def test_a_scene_is_filmed_alike_every_time(ordinary: Path, tmp_path: Path) -> None:
    again = film(tmp_path, Job("tiny", 0))

    assert again.read_bytes() == ordinary.read_bytes()


def test_frames_differ_by_noise_and_small_movements_only(ordinary: Path) -> None:
    frames = frames_of(ordinary)
    steps = np.abs(np.diff(frames, axis=0)).mean(axis=(1, 2, 3))

    assert frames.shape == (24, 480, 640, 3)
    assert steps.min() > 0.3
    assert steps.max() < 8


def test_a_hard_corpus_shows_the_same_person_in_another_light_and_takes_less_space(
    ordinary: Path, tmp_path: Path
) -> None:
    hard = film(tmp_path, Job("tiny", 0, hard=True))
    faces = [frames_of(path)[5, 150:330, 240:400].mean(axis=2).ravel() for path in (ordinary, hard)]

    assert np.corrcoef(*faces)[0, 1] > 0.5
    assert np.abs(faces[0] - faces[1]).mean() > 3
    assert hard.stat().st_size < 0.7 * ordinary.stat().st_size
