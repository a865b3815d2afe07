from __future__ import annotations

import numpy as np
import pytest

from fedn_lightning.callbacks.feature_motion import (
    FeatureMotion,
    direction_cosine,
    jump_along_class,
    jump_over_quiet,
)

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
