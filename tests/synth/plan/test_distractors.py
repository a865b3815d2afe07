"""Heads that look about."""

import numpy as np
import pytest

from fedn_synth.plan import distractors
from fedn_synth.plan.corpus_plan import plan_corpus
from fedn_synth.plan.distractors import FAST, HARD, ORDINARY, SLOW, Conditions, turns
from fedn_synth.plan.presets import find_preset
from fedn_synth.plan.video_plan import plan_video

MINUTE = 1800


@pytest.mark.parametrize("conditions", [ORDINARY, HARD])
def test_the_head_keeps_within_its_limits_and_uses_them(conditions: Conditions) -> None:
    tracks = [distractors.head(MINUTE, conditions, np.random.default_rng(seed))[0] for seed in range(12)]
    away = np.abs(np.stack(tracks) - [0, 0, 0, 0, 0, 1]).reshape(-1, 6)

    assert away[:, :2].max() <= conditions.max_shift
    assert away[:, 2:5].max() <= conditions.max_turn
    assert away[:, :2].max() > 0.6 * conditions.max_shift
    assert away[:, 2:5].max() > 0.6 * conditions.max_turn


def test_the_head_never_jumps() -> None:
    pose, _ = distractors.head(MINUTE, ORDINARY, np.random.default_rng(0))

    assert np.abs(np.diff(pose, axis=0)).max() < 1.2  # px or degrees a frame


@pytest.mark.parametrize("rate", [10, 22])
def test_blinks_come_at_their_rate(rate: float) -> None:
    counts = [len(distractors.blinks(MINUTE, rate, (), np.random.default_rng(seed))[1]) for seed in range(60)]

    assert np.mean(counts) == pytest.approx(rate, rel=0.2)


def test_blinks_are_short_and_their_events_hold_them() -> None:
    closure, events = distractors.blinks(MINUTE, 20, [300, 900], np.random.default_rng(1))
    inside = np.zeros(MINUTE, bool)
    for event in events:
        assert 4 <= event.end - event.start <= 10
        inside[event.start : event.end] = True

    assert closure.max() <= 1
    assert closure[~inside].max() == 0
    assert any(abs(event.start - 300) <= 8 for event in events)


def test_every_track_is_in_its_range_and_has_its_shape() -> None:
    rng = np.random.default_rng(3)
    gaze, _ = distractors.gaze_shifts(MINUTE, 1.0, rng)
    speech, _ = distractors.speech(MINUTE, 1.0, rng)
    swallow, _ = distractors.swallows(MINUTE, 1.0, rng)
    light = distractors.light(MINUTE, HARD, rng)

    assert (gaze.shape, speech.shape, swallow.shape, light.shape) == ((1800, 2), (1800, 2), (1800,), (1800, 3))
    assert np.abs(gaze).max() <= 1
    assert 0 <= speech.min() <= speech.max() <= 1
    assert 0 <= swallow.min() <= swallow.max() <= 1
    assert np.abs(light[:, 1:]).max() <= 1
    assert light[:, 0].min() > 0.4


def test_smooth_noise_has_unit_spread_at_any_width() -> None:
    for sigma in (2, 9, 40):
        noise = distractors.smooth_noise(60_000, sigma, np.random.default_rng(4))
        assert noise.std() == pytest.approx(1, rel=0.12)


def test_events_keep_apart() -> None:
    starts = distractors.event_starts(20 * MINUTE, 12, 60, np.random.default_rng(5))

    assert len(starts) == pytest.approx(240, rel=0.15)
    assert np.diff(starts).min() >= 60


def test_turns_stay_within_the_limit_and_use_it():
    tracks = np.concatenate([turns(1800, 26, np.random.default_rng(seed))[0] for seed in range(6)])
    assert np.abs(tracks).max() <= 26
    assert np.abs(tracks).max(axis=0).min() > 18


def test_there_are_slow_and_fast_turns():
    _, events = turns(9000, 20, np.random.default_rng(1))
    lengths = {kind: [e.end - e.start for e in events[:-1] if e.kind == kind] for kind in ("head", "posture")}
    assert max(lengths["head"]) < FAST[1]
    assert min(lengths["posture"]) >= SLOW[0]
    assert all(len(found) > 5 for found in lengths.values())


def test_a_pose_changes_yaw_and_pitch_and_nothing_else():
    preset = find_preset("tiny")
    scene = plan_corpus(preset, 4)[1]
    still = plan_video(scene, preset, 4, ORDINARY)
    turned = plan_video(scene, preset, 4, Conditions(turn=30))

    assert turned.expressions == still.expressions
    assert (turned.tracks.action_units == still.tracks.action_units).all()
    assert (turned.tracks.pose[:, [0, 1, 2, 5]] == still.tracks.pose[:, [0, 1, 2, 5]]).all()
    assert 10 < np.abs(turned.tracks.pose[:, 3:5]).max() <= 30
    assert len(turned.distractors) > len(still.distractors)
