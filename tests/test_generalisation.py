"""The study of generalisation trains on nobody whom it tests on; scripts/conditions.py changes videos as it says."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import av
import numpy as np
import pytest
import yaml

from fedn_lightning.cli.config import layers
from fedn_lightning.study.plan import fits, read_plan
from fedn_synth.plan.presets import PRESETS

HOME = Path(__file__).parents[1]
FOLDER = HOME / "experiments" / "generalisation"
VALIDATION = 4


def roots(file: str | Path) -> list[str]:
    """The corpora of an experiment, its own or those of its base."""
    contents = [yaml.safe_load(layer) for layer in layers(Path(file))[1:]]  # the first is a path
    corpora = [content["data"]["init_args"].get("corpus", {}) for content in contents if "data" in content]
    return [corpus["root"] for corpus in corpora if "root" in corpus][-1]


@pytest.mark.parametrize("row", read_plan([str(FOLDER)]).rows, ids=lambda row: row.name)
def test_a_row_holds_out_everyone_who_is_tested(row) -> None:
    tests = read_plan([str(FOLDER)]).tests
    people = [f"{Path(root).name}-s{n}" for root in roots(row.configs[0]) for n in PRESETS["weights"].folders]
    (fold,) = row.folds(people, seed=7, group=4)
    tested = [person for person in people if any(fits(person, patterns) for patterns in tests.values())]
    assert len(tested) == 40
    assert set(tested) <= set(fold.subjects)
    trained = len(people) - len(fold.subjects) - VALIDATION
    if "people" in row.name:
        assert trained == int(row.name.rpartition("_")[2])
    if "motion" in row.name:  # epochs make up for people
        own = yaml.safe_load(Path(row.configs[0]).read_text())["trainer"]["max_epochs"]
        assert trained * own == pytest.approx(36 * 24, rel=0.01)


def test_all_rows_read_the_same_people() -> None:
    for name in ("fedn", "fedn_plus", "flow", "spotter", "recogniser"):
        assert roots(FOLDER / f"{name}.yaml") == roots(FOLDER / "motion.yaml")
    assert len(roots(FOLDER / "fedn_plus_turning.yaml")) == len(roots(FOLDER / "motion.yaml"))
    assert all(len(layers(file)) > 1 for file in FOLDER.glob("*.yaml") if file.name != "study.yaml")


def test_training_from_pixels_differs_from_its_twin_in_the_encoder_alone() -> None:
    *twin, own = layers(FOLDER.parent / "from_pixels" / "from_pixels.yaml")
    assert twin == layers(FOLDER.parent / "from_pixels" / "frozen.yaml")
    changed = yaml.safe_load(own)["model"]["init_args"]
    assert changed["encoder"].keys() == {"frozen", "sampled", "frozen_epochs", "chunk"}
    assert changed["optimiser"].keys() == {"encoder"}


@pytest.fixture(scope="module")
def conditions() -> ModuleType:
    spec = importlib.util.spec_from_file_location("conditions", HOME / "scripts" / "conditions.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["conditions"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory, conditions: ModuleType) -> Path:
    """A second of a grey picture that becomes brighter."""
    path = tmp_path_factory.mktemp("clips") / "clip.mp4"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=30)
        stream.height, stream.width, stream.pix_fmt, stream.options = 48, 64, "yuv420p", {"crf": "0"}
        for number in range(30):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((48, 64, 3), 60 + 4 * number, np.uint8), "rgb24")))
        out.mux(stream.encode())
    return path


@pytest.mark.parametrize(
    ("name", "frames", "shape"),
    [
        ("as it is", 30, (48, 64)),
        ("10 frames/s", 10, (48, 64)),
        ("60 frames/s, mixed", 59, (48, 64)),
        ("0.5 of the size", 30, (24, 32)),
    ],
)
def test_a_changed_video_keeps_its_time(
    name: str, frames: int, shape: tuple[int, int], clip: Path, conditions: ModuleType, tmp_path: Path
) -> None:
    conditions.film(tmp_path / "changed.mp4", str(clip), conditions.CONDITIONS[name])
    with av.open(str(tmp_path / "changed.mp4")) as video:
        shown = list(video.decode(video=0))
    assert len(shown) == frames
    assert (shown[0].height, shown[0].width) == shape
    seconds = [frame.time for frame in shown]
    grey = [frame.to_ndarray(format="gray").mean() for frame in shown]
    # A picture is shown at the time it had, or at most a frame later.
    expected = np.interp(seconds, np.arange(30) / 30, 60 + 4 * np.arange(30))
    assert np.abs(np.array(grey) - expected).max() < 4 + 3


def test_light_is_changed_as_named(conditions: ModuleType) -> None:
    picture = np.full((4, 8, 3), 100, np.uint8)
    dark = conditions.CONDITIONS["a third of the light, noise of 6"].change(picture, 0.0)
    assert dark.mean() == pytest.approx(33, abs=3)
    assert dark.std() > 3
    side = conditions.CONDITIONS["light from one side"].change(picture, 0.0)
    assert (int(side[0, 0, 0]), int(side[0, -1, 0])) == (140, 40)
