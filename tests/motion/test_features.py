"""What the motion stream is given."""

import numpy as np
import pytest
from moving import SIDE, shifted, texture

from fedn_lightning.motion.features import (
    AREAS,
    FILTERS,
    MIN_NOISE,
    MIRROR,
    N_FEATURES,
    N_TRACKS,
    MotionStream,
    baseline,
    mirrored,
    motion_features,
    tracks,
)
from fedn_lightning.motion.flow import MotionConfig, measure
from fedn_lightning.motion.regions import CELLS, EYES_APART

CONFIG = MotionConfig(side=SIDE)


def cells_with(region: str, x: float, y: float, n_frames: int = 300) -> np.ndarray:
    """Displacements of one region alone, in eye distances, in frames 140 to 160."""
    cells = np.zeros((n_frames, CELLS, CELLS, 2), np.float32)
    area = next(area for area in AREAS if area.name == region)
    rows, columns = (
        slice(round(area.top * CELLS), round(area.bottom * CELLS)),
        slice(round(area.left * CELLS), round(area.right * CELLS)),
    )
    cells[140:160, rows, columns] = np.array([x, y]) * EYES_APART
    return cells


def grid(features: np.ndarray) -> np.ndarray:
    return features.reshape(len(features), len(FILTERS), N_TRACKS, 2)


def test_a_region_that_leaves_its_place_shows_in_its_own_track_in_eye_distances():
    features = grid(motion_features(tracks(cells_with("cheek, left", 0.0, 0.02)), 30.0)).astype(np.float32)
    index = [area.name for area in AREAS].index("cheek, left")
    expected = 0.02 / MIN_NOISE  # nothing else moves
    np.testing.assert_allclose(features[150, :, index, 1], expected, rtol=0.05)
    assert np.abs(features[50:100]).max() < 0.05
    others = np.delete(features[150], index, axis=1)
    assert np.abs(others[:, : len(AREAS) - 1]).max() < 0.3 * expected  # neighbours share cells with it


def test_a_face_that_always_moves_twice_as_much_has_the_same_features():
    rng = np.random.default_rng(1)
    moved = np.cumsum(rng.normal(0, 0.002, (400, N_TRACKS, 2)), axis=0).astype(np.float32)
    once, twice = (grid(motion_features(k * moved, 30.0))[:, :, : len(AREAS)] for k in (1, 2))
    np.testing.assert_allclose(once.astype(np.float32), twice.astype(np.float32), rtol=0.01, atol=0.01)


def test_the_mirrored_features_are_those_of_the_mirrored_motion():
    cells = cells_with("mouth corner, left", 0.01, -0.02)
    turned = cells[:, :, ::-1] * np.array([-1, 1], np.float32)
    here, there = (motion_features(tracks(each), 30.0).astype(np.float32) for each in (cells, turned))
    np.testing.assert_allclose(mirrored(here), there, atol=0.02, rtol=2e-3)
    np.testing.assert_array_equal(mirrored(mirrored(here)), here)
    assert sorted(MIRROR) == list(range(N_TRACKS))


@pytest.mark.parametrize("fps", [30.0, 12.5])
def test_a_stream_gives_the_features_of_the_whole_video_and_keeps_a_few_seconds(fps):
    rng = np.random.default_rng(0)
    n_frames = round(120 * fps)
    moves = np.cumsum(rng.normal(0, 0.05, (n_frames, 2)), axis=0)
    frames = np.stack([shifted(texture(3), x, y) for x, y in moves])
    whole = motion_features(tracks(measure(frames, fps, CONFIG)), fps)
    stream, parts, kept = MotionStream(n_frames, fps, CONFIG), [], 0
    for first in range(0, n_frames, 32):
        parts.append(stream.add(frames[first : first + 32]))
        kept = max(kept, len(stream._moved))
    assert sum(map(len, parts)) == n_frames
    np.testing.assert_allclose(np.concatenate(parts).astype(np.float32), whole.astype(np.float32), atol=1e-3)
    assert kept < 105 * fps
    assert whole.shape == (n_frames, N_FEATURES)


def test_a_video_shorter_than_the_filters_has_features():
    frames = np.stack([shifted(texture(4), 0.1 * t, 0) for t in range(7)])
    assert MotionStream(7, 30.0, CONFIG).add(frames).shape == (7, N_FEATURES)


@pytest.mark.parametrize("edges", ["nearest", "reflect"])
@pytest.mark.parametrize("n_samples", [1, 2, 10, 40, 61, 120, 300])
def test_the_running_median_of_a_short_signal_is_that_of_the_extended_one(edges, n_samples):
    signal = np.random.default_rng(0).normal(size=(n_samples, 3))
    numpy_mode = {"nearest": "edge", "reflect": "symmetric"}[edges]
    extended = np.pad(signal, ((60, 60), (0, 0)), mode=numpy_mode)
    expected = np.median(np.lib.stride_tricks.sliding_window_view(extended, 121, axis=0), axis=-1)
    # 121 samples of a second each: every frame is a sample.
    np.testing.assert_array_equal(baseline(signal, 121.0, 1.0, samples=121, edges=edges), expected)
