"""From curves to expressions, and the choice of a spotter's numbers, on signals whose truth is known."""

import math
from dataclasses import replace

import numpy as np
import pytest

from fedn_lightning.baselines.flow.spotter import (
    Search,
    SpotterConfig,
    TrainingVideo,
    baseline,
    candidates,
    directions,
    excursions,
    intervals,
    kept,
    low_pass,
    mean_patterns,
    nearest,
    peaks,
    search_grid,
    strength,
    valley,
)
from fedn_lightning.errors import ConfigError
from fedn_lightning.events import EventTable
from fedn_lightning.motion.regions import EYES_APART, REGIONS

MACRO, MICRO = 0, 1


def bump(length, height):
    return height * np.sin(np.linspace(0, np.pi, length + 2)[1:-1])


def video(events, fps=30.0, n_frames=600, seed=0, region=0):
    """Noise in which one region moves at each `(start, length, height, kind)`; heights in eye distances."""
    motion = np.random.default_rng(seed).standard_normal((n_frames, len(REGIONS), 2)) * 0.002 * EYES_APART
    rows = []
    for start, length, height, kind in events:
        motion[start : start + length, region, 1] += bump(length, height) * EYES_APART
        rows.append([0, 0, start, start + length, kind, 0, 1])
    return TrainingVideo(motion, fps, EventTable.from_rows(rows))


EVENTS = [(60, 40, 0.08, MACRO), (200, 12, 0.03, MICRO), (330, 50, 0.1, MACRO), (470, 14, 0.03, MICRO)]
SEARCH = Search(smooth_seconds=(0.03, 0.05), rest_seconds=(2.0, 8.0), share=(0.2, 0.35))


def test_a_valley_is_where_the_curve_first_falls_below_its_share():
    curve = np.array([0, 2, 5, 1, 6, 10, 7, 4, 2, 6.0])
    assert valley(curve, 5, -1, 0.5, 9) == 4, "what lies behind the first valley is another peak's"
    assert valley(curve, 5, 1, 0.3, 9) == 7
    assert valley(curve, 5, 1, 0.1, 9) == 9, "the end of the video"
    assert valley(curve, 5, -1, 0.05, 2) == 3, "no further than asked"


def test_intervals_have_the_asked_lengths():
    curve = np.concatenate([np.zeros(10), bump(8, 5.0), np.zeros(10), bump(40, 5.0), np.zeros(10)])
    found = intervals(curve, 0.2, 6, 20, 1.0)
    assert found.shape == (1, 3)
    assert abs(found[0, 0] - 10) <= 1
    assert abs(found[0, 1] - 18) <= 1
    assert intervals(curve, 0.2, 0.0, 0.0, 1.0).shape == (0, 3)
    assert peaks(curve, 6.0).size == 0


def test_the_baseline_follows_drift_and_ignores_an_expression():
    drift = np.linspace(0, 3, 900)[:, None]
    pulse = np.zeros((900, 1))
    pulse[400:440, 0] = bump(40, 1.0)
    rest = baseline(drift + pulse, 8.0, 30.0)
    np.testing.assert_allclose(rest[150:-150], drift[150:-150], atol=0.15)
    np.testing.assert_array_equal(low_pass(pulse, 0.0, 30.0), pulse)
    assert low_pass(pulse, 0.1, 30.0).sum() == pytest.approx(pulse.sum())


@pytest.mark.parametrize("fps", [30.0, 60.0])
def test_both_types_are_found_at_any_rate(fps):
    scale = round(fps / 30)
    events = [(start * scale, length * scale, height, kind) for start, length, height, kind in EVENTS]
    material = [video(events, fps, 600 * scale, seed) for seed in range(2)]
    for kind in (MACRO, MICRO):
        choice = search_grid(material, SEARCH, kind)
        assert choice.f1 == 1.0
        config = choice.config
        curves = strength(excursions(material[0].motion, fps, config.smooth_seconds, config.rest_seconds))
        found = kept(candidates(*curves, fps, config), config.greatest, 0.2, 200)
        surest = found[np.flatnonzero(found.score >= choice.threshold)]
        truths = material[0].truths
        middles = (truths.start + truths.end)[truths.type == kind] / 2
        np.testing.assert_allclose(np.sort(surest.start + surest.end) / 2, middles, atol=4 * scale)


def test_a_limit_on_size_keeps_large_short_movements_from_being_micro():
    events = [*EVENTS, (120, 12, 0.2, MACRO), (550, 13, 0.2, MACRO)]
    material = [video(events, seed=seed) for seed in range(2)]
    choice = search_grid(material, SEARCH, MICRO)
    assert choice.config.greatest < 0.1
    free = search_grid(material, replace(SEARCH, size_quantiles=()), MICRO)
    assert math.isinf(free.config.greatest)
    assert choice.f1 == 1.0
    assert free.f1 < 1.0


def test_without_a_truth_nothing_is_spotted():
    material = [video([event for event in EVENTS if event[3] == MACRO])]
    choice = search_grid(material, SEARCH, MICRO)
    assert math.isinf(choice.threshold)
    curves = strength(excursions(material[0].motion, 30.0, 0.05, 2.0))
    assert len(candidates(*curves, 30.0, choice.config)) == 0


def test_overlapping_candidates_leave_the_higher():
    config = SpotterConfig(0.05, 8.0, 0.3, 0.2, 4.0, math.inf)
    material = video([(100, 40, 0.08, MACRO), (125, 30, 0.05, MACRO)])
    found = candidates(*strength(excursions(material.motion, 30.0, 0.05, 8.0)), 30.0, config)
    events = kept(found, math.inf, 0.2, 200)
    near = events[np.flatnonzero((events.start < 170) & (events.end > 90))]
    assert near.score.tolist() == sorted(near.score.tolist(), reverse=True)
    assert near.score[0] == found.score.max()
    assert len(near) < int(((found.start < 170) & (found.end > 90)).sum())


def test_emotions_are_told_by_direction():
    up, down = np.zeros((2, 2, 2))
    up[0, 1], down[1, 0] = 1.0, -2.0
    vectors = directions(np.stack([up, down, np.zeros((2, 2))]), np.array([0, 1, 2]))
    assert np.linalg.norm(vectors, axis=1).tolist() == [1.0, 1.0, 0.0]
    patterns = mean_patterns(vectors, np.array([1, 0, -1]), 3)
    assert not patterns[2].any()
    emotion, score = nearest(directions(np.stack([3 * up, up + 0.1 * down]), np.array([0, 1])), patterns)
    assert emotion.tolist() == [1, 1]
    assert score[0] == 1.0
    assert 0.5 < score[1] < 1.0


def test_a_search_needs_values():
    with pytest.raises(ConfigError, match=r"share = \[\] needs one value at least"):
        Search(smooth_seconds=(0.05,), rest_seconds=(2.0,), share=())
