"""Motion of patterns whose motion is known."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from moving import SIDE, brows, shifted, texture

from fedn_lightning.errors import ConfigError
from fedn_lightning.motion.flow import FlowStream, MotionConfig, join, measure, stretches
from fedn_lightning.motion.regions import (
    CELLS,
    FACE,
    REGIONS,
    fit_and_apply,
    region_centres,
    region_means,
    steady_cells,
    terms,
    without_head,
)

PIXEL = CELLS / SIDE
"""Cells per pixel."""
CONFIG = MotionConfig(side=SIDE)
T = 150  # three references


def inner(cells: np.ndarray) -> np.ndarray:
    """The cells that no motion brings to the border."""
    return cells[:, 2:-2, 2:-2]


def test_a_shifted_texture_has_moved_by_the_shift_across_all_references():
    x, y = 0.5 * np.sin(np.arange(T) / 9), 0.8 * np.sin(np.arange(T) / 14)
    frames = np.stack([shifted(texture(1), a, b) for a, b in zip(x, y, strict=True)])
    done = []
    cells = inner(measure(frames, 30.0, CONFIG, done.append)) / PIXEL
    truth = np.stack([x, y], axis=1)[:, None, None]
    error = cells - truth
    error -= np.median(error, axis=0)  # the zero of a displacement is its reference's
    assert np.abs(error).mean() < 0.05, "pixels"
    steps = np.abs(np.diff(error, axis=0)).mean(axis=(1, 2, 3))
    assert steps.max() < 0.15, "no step where the reference changes"
    assert sum(done) == T


def test_a_still_picture_does_not_move_and_one_frame_is_enough():
    frames = np.stack([shifted(texture(2), 0, 0)] * 3)
    assert np.abs(measure(frames, 30.0, CONFIG)).max() < 1e-3
    assert measure(frames[:1], 30.0, CONFIG).shape == (1, CELLS, CELLS, 2)


def test_larger_crops_are_brought_to_the_configured_side():
    frames = np.stack([shifted(texture(3, 2 * SIDE), x, 0) for x in (0.0, 2.0, 0.0)])
    cells = inner(measure(frames, 30.0, CONFIG))
    assert cells[1, ..., 0].mean() - cells[0, ..., 0].mean() == pytest.approx(PIXEL, rel=0.1)


@given(st.integers(1, 400), st.integers(1, 90), st.integers(1, 90))
def test_stretches_cover_every_frame_and_share_the_overlap(n_frames, period, overlap):
    found = stretches(n_frames, period, min(overlap, period))
    assert found[0].first == 0
    assert found[-1].stop == n_frames
    assert all(a.stop - b.first == min(overlap, period) for a, b in pairwise(found))
    assert all(s.first <= s.reference < s.stop for s in found)


def test_stretches_are_joined_without_a_step():
    truth = np.arange(20.0, dtype=np.float32)[:, None, None, None] * np.ones((CELLS, CELLS, 2), np.float32)
    first = join(truth[:0], truth[:12])
    second = join(first[8:], truth[8:] - 5)  # against another reference
    np.testing.assert_allclose(np.concatenate([first[:8], second]), truth, atol=1e-6)


@pytest.mark.parametrize("sizes", [[T], [1] * T, [70, 3, 77]])
@pytest.mark.parametrize("rate", [None, 15.0, 4.0])
def test_crops_may_come_in_any_pieces(sizes, rate):
    frames = np.stack([shifted(texture(2), 0.02 * t, 0) for t in range(T)])
    config = replace(CONFIG, rate=rate)
    stream = FlowStream(T, 30.0, config)
    parts = [stream.add(piece) for piece in np.split(frames, np.cumsum(sizes)[:-1])]
    np.testing.assert_array_equal(np.concatenate(parts), measure(frames, 30.0, config))


@pytest.mark.parametrize("n_frames", [1, 2, 7, T])
def test_flow_at_a_lower_rate_is_interpolated_and_stays_after_the_last(n_frames):
    frames = np.stack([shifted(texture(2), 0.02 * t, 0) for t in range(n_frames)])
    every, third = (measure(frames, 30.0, replace(CONFIG, rate=rate)) for rate in (None, 10.0))
    assert every.shape == third.shape
    np.testing.assert_array_equal(third[::3], measure(frames[::3], 10.0, CONFIG))
    for number in range((n_frames - 1) // 3 * 3):
        share = number % 3 / 3
        between = (1 - share) * third[number // 3 * 3] + share * third[number // 3 * 3 + 3]
        np.testing.assert_allclose(third[number], between, atol=1e-5)
    np.testing.assert_array_equal(
        third[(n_frames - 1) // 3 * 3 :], third[[(n_frames - 1) // 3 * 3] * ((n_frames - 1) % 3 + 1)]
    )
    np.testing.assert_allclose(third[..., 0].mean((1, 2)), every[..., 0].mean((1, 2)), atol=0.05)


def test_the_motion_of_the_head_is_taken_off_and_that_of_the_brows_stays():
    rows, columns = np.mgrid[:CELLS, :CELLS]
    places = columns + 1j * rows
    head = 0.02 * (1 + 0.5j) * places + 0.3 - 0.2j
    own = 0.4 * (brows(CELLS) > 0.5)
    cells = np.stack([(head + 1j * own).real, (head + 1j * own).imag], axis=-1)[None]
    left = without_head(cells, "similarity")[0]
    expected = region_means(np.stack([0 * own, own], axis=-1)[None])[0]
    np.testing.assert_allclose(left, expected, atol=1e-6)
    assert not np.allclose(without_head(cells, "nose")[0], expected, atol=0.01), "the nose does not tell the turn"
    np.testing.assert_allclose(without_head(cells, "none"), region_means(cells))


def test_points_that_go_their_own_way_are_outvoted():
    places = np.array([complex(x, y) for x in range(5) for y in range(5)])
    displaced = np.full((2, 25), 1 + 2j)
    displaced[:, ::4] += 3
    moved = fit_and_apply(terms(places, False), displaced, terms(np.array([9 + 9j]), False))
    np.testing.assert_allclose(moved, 1 + 2j, atol=1e-6)


def test_what_a_turning_head_does_to_its_near_parts_is_taken_off():
    rows, columns = np.mgrid[:CELLS, :CELLS]
    depth = -(((columns - FACE.x) / FACE.half_width) ** 2) - ((rows - FACE.y) / FACE.half_height) ** 2
    own = 0.4 * (brows(CELLS) > 0.5)
    cells = np.stack([0.5 * depth + 0.2, own - 0.3 * depth], axis=-1)[None]
    expected = region_means(np.stack([0 * own, own], axis=-1)[None])[0]
    off = {model: np.abs(without_head(cells, model)[0] - expected).max() for model in ("similarity", "depth")}
    assert off["depth"] < 0.04 < 0.12 < off["similarity"], "little is left: the term is held back"


def test_regions_lie_on_the_grid_and_apart_from_what_tells_the_head():
    steady = steady_cells()
    for region, centre in zip(REGIONS, region_centres(), strict=True):
        edges = np.array(region[1:]) * CELLS
        assert np.array_equal(edges, edges.round())
        left, top, right, bottom = edges.astype(int)
        assert not steady[top:bottom, left:right].any(), region.name
        assert centre == complex(left + right - 1, top + bottom - 1) / 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"side": 60}, "side = 60 must be a multiple of 16"), ({"overlap_seconds": 3.0}, "overlap_seconds = 3.0")],
)
def test_impossible_measurements_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        MotionConfig(**changes)
