"""Heads that look about."""

import numpy as np

from fedn_synth.plan.corpus_plan import plan_corpus
from fedn_synth.plan.distractors import FAST, ORDINARY, SLOW, Conditions, turns
from fedn_synth.plan.presets import find_preset
from fedn_synth.plan.video_plan import plan_video


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
