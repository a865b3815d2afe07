""""""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fedn_lightning.callbacks.feature_motion import (
    FeatureMotion,
    PrintFeatureMotion,
    direction_cosine,
    format_table,
    jump_along_class,
    jump_over_quiet,
    motion_table,
    read_motion,
)
from fedn_lightning.errors import ConfigError


class MeanColour(nn.Module):
    """The feature of a picture is its mean colour."""

    def forward(self, frames: Tensor) -> Tensor:
        return frames.float().mean(dim=(2, 3))


TASK: Any = SimpleNamespace(encoder=MeanColour(), device=torch.device("cpu"))


def write(path: Path, faces: str, axis: int) -> str:
    """Two people whose apex is 30 levels brighter in one channel, and whose quiet frames differ by 10 in it."""
    frames = np.full((4, 4, 8, 8, 3), 100, np.uint8)
    frames[:, 1, ..., axis] += 10
    frames[:, 3, ..., axis] += 30
    labels = {"emotion": np.array(["fear"] * 4), "person": np.array([0, 1, 0, 1])}
    np.savez(path, frames=frames, faces=np.array(faces), type=np.array(["micro"] * 2 + ["macro"] * 2), **labels)
    return str(path)


def test_the_table_compares_within_and_across_kinds_of_faces(tmp_path: Path) -> None:
    files = [write(tmp_path / "a.npz", "2d", 0), write(tmp_path / "b.npz", "3d", 1)]
    rows = motion_table([read_motion(path, TASK) for path in files])

    assert [row["type"] for row in rows] == ["micro"] * 4 + ["macro"] * 4
    assert all(row["jump / quiet"] == pytest.approx(3) for row in rows)
    cosines = {(row["directions of"], row["expressions of"]): row["cosine of classes"] for row in rows[:4]}
    assert cosines == {("2d", "2d"): 1.0, ("2d", "3d"): 0.0, ("3d", "2d"): 0.0, ("3d", "3d"): 1.0}
    assert "cosine of classes" in format_table(rows)


def test_a_missing_file_is_reported_before_training(tmp_path: Path) -> None:
    callback = PrintFeatureMotion([str(tmp_path / "none.npz")])
    with pytest.raises(ConfigError, match="fedn data moments"):
        callback.setup(SimpleNamespace(), SimpleNamespace(), "fit")  # type: ignore[arg-type]


def test_the_end_of_training_prints_and_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    checkpoints = SimpleNamespace(dirpath=str(tmp_path / "checkpoints"))
    trainer: Any = SimpleNamespace(is_global_zero=True, checkpoint_callback=checkpoints)
    PrintFeatureMotion([write(tmp_path / "a.npz", "2d", 0)]).on_fit_end(trainer, TASK)

    assert "jump / quiet" in capsys.readouterr().out
    assert (tmp_path / "feature_motion.json").is_file()


RNG = np.random.default_rng(0)
CLASSES = ("fear", "anger", "surprise")


def people(axes: dict[str, int], first_person: int, size: float = 2.0, noise: float = 0.0) -> FeatureMotion:
    """Four people whose features move along one axis for each class."""
    names = np.array([name for name in CLASSES for _ in range(4)])
    jump = np.zeros((12, 60))
    for row, name in enumerate(names):
        jump[row, axes[name]] = size
    jump += RNG.normal(0, 1, jump.shape) * noise
    quiet = RNG.normal(0, 1, jump.shape)
    quiet /= np.linalg.norm(quiet, axis=1, keepdims=True)
    return FeatureMotion(jump, quiet, names, np.tile(np.arange(4), 3) + first_person)


def test_the_jump_is_measured_in_quiet_changes() -> None:
    assert jump_over_quiet(people({"fear": 0, "anger": 1, "surprise": 2}, 0, size=3.0)) == pytest.approx(3)


def test_a_shared_direction_has_cosine_one_and_other_directions_none() -> None:
    ours, theirs = people({"fear": 0, "anger": 1, "surprise": 2}, 0), people({"fear": 5, "anger": 6, "surprise": 7}, 4)
    assert direction_cosine(ours, ours) == pytest.approx(1)
    assert direction_cosine(ours, theirs) == pytest.approx(0)


def test_a_person_is_not_compared_with_themselves() -> None:
    noisy = people({"fear": 0, "anger": 1, "surprise": 2}, 0, size=0.0, noise=1.0)
    assert abs(direction_cosine(noisy, noisy)) < 0.2


def test_the_jump_along_a_class_of_others_is_large_only_where_they_move_alike() -> None:
    axes = {"fear": 0, "anger": 1, "surprise": 2}
    ours, alike = people(axes, 0), people(axes, 4)
    unlike = people({"fear": 5, "anger": 6, "surprise": 7}, 4)
    assert jump_along_class(ours, alike) > 8
    assert jump_along_class(ours, ours) > 8
    assert jump_along_class(ours, unlike) == pytest.approx(0)


def test_without_quiet_or_pairs_there_is_no_figure() -> None:
    one = FeatureMotion(np.ones((1, 3)), np.zeros((1, 3)), np.array(["fear"]), np.array([0]))
    assert np.isnan(jump_over_quiet(one))
    assert np.isnan(direction_cosine(one, one))
    assert np.isnan(jump_along_class(one, one))
