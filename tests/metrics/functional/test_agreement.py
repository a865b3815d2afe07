import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import multiclass_cohen_kappa

from fedn_lightning.events import EventTable
from fedn_lightning.metrics.functional.agreement import (
    Differences,
    cohen_kappa,
    frame_classes,
    frame_confusion,
    matched_rows,
)


@pytest.mark.parametrize("seed", range(5))
def test_kappa_is_that_of_torchmetrics(seed):
    rng = np.random.default_rng(seed)
    one = rng.integers(0, 4, 500)
    other = np.where(rng.random(500) < 0.6, one, rng.integers(0, 4, 500))
    expected = float(multiclass_cohen_kappa(torch.from_numpy(other), torch.from_numpy(one), num_classes=4))
    assert cohen_kappa(frame_confusion(one, other, 4)) == pytest.approx(expected, abs=1e-6)


def test_kappa_is_undefined_where_chance_agrees():
    assert np.isnan(cohen_kappa(np.array([[9, 0], [0, 0]])))
    assert np.isnan(cohen_kappa(np.zeros((0, 0), np.int64)))


def test_each_frame_belongs_to_the_event_that_covers_its_middle():
    rng = np.random.default_rng(1)
    for _ in range(30):
        start = rng.uniform(-5, 40, 6)
        end, label = start + rng.uniform(0.2, 30, 6), rng.integers(0, 3, 6)
        found = frame_classes(start, end, label, 40)
        for frame, got in enumerate(found.tolist()):
            covering = np.flatnonzero((start <= frame + 0.5) & (frame + 0.5 < end))
            shortest = min(covering, key=lambda row: end[row] - start[row], default=None)
            assert got == (0 if shortest is None else label[shortest] + 1)


def test_differences_of_matched_boundaries():
    truths = EventTable.from_rows([[0, 0, 100, 500, 0, -1, 1], [0, 0, 900, 1100, 1, -1, 1]])
    found = EventTable.from_rows([[0, 0, 920, 1110, 1, -1, 1], [0, 0, 90, 520, 0, -1, 1], [0, 0, 100, 500, 1, -1, 1]])
    rows, taken = matched_rows(found, truths)
    assert dict(zip(rows.tolist(), taken.tolist(), strict=True)) == {0: 1, 1: 0}
    onset = Differences.of(found.start[rows] - truths.start[taken])
    assert onset == (2, 5.0, 15.0, pytest.approx(np.std([20, -10], ddof=1)))
    assert Differences.of(np.empty(0)).pairs == 0
    assert np.isnan(Differences.of(np.array([3.0])).deviation)
