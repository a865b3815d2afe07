import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedn_synth.plan.corpus_plan import plan_corpus
from fedn_synth.plan.distractors import HARD, ORDINARY
from fedn_synth.plan.expressions import VISIBLE
from fedn_synth.plan.presets import PRESETS
from fedn_synth.plan.video_plan import GAP, place, plan_expressions, plan_video

STANDARD = PRESETS["standard"]


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(9, 117), st.sampled_from([GAP, GAP, -3])), min_size=1, max_size=6),
    st.integers(0, 400),
    st.integers(0, 2**20),
)
def test_intervals_keep_their_gaps_and_stay_inside(items: list[tuple[int, int]], spare: int, seed: int) -> None:
    lengths, gaps = [item[0] for item in items], [GAP, *(item[1] for item in items[1:])]
    n_frames = sum(lengths) + sum(gaps) + GAP + spare

    starts = place(lengths, gaps, n_frames, np.random.default_rng(seed))

    ends = [start + length for start, length in zip(starts, lengths, strict=True)]
    assert starts[0] >= GAP
    assert ends[-1] <= n_frames - GAP
    for gap, start, end in zip(gaps[1:], starts[1:], ends, strict=False):
        assert start - end == gap if gap < 0 else start - end >= gap


def test_intervals_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"2 intervals of 100 frames do not fit into 120 frames"):
        place([50, 50], [GAP, GAP], 120, np.random.default_rng(0))


@pytest.mark.parametrize("name", PRESETS)
def test_expressions_keep_apart_but_for_the_planned_overlaps(name: str) -> None:
    preset = PRESETS[name]
    for scene in plan_corpus(preset, 5):
        expressions = plan_expressions(scene, preset, 5)
        for i in range(1, len(expressions)):
            distance = expressions[i].start - expressions[i - 1].end
            assert -6 < distance < 0 if i in scene.overlaps else distance >= GAP


def test_tracks_agree_with_the_labels() -> None:
    scene = next(scene for scene in plan_corpus(STANDARD, 0) if len(scene.expressions) > 5 and not scene.overlaps)
    plan = plan_video(scene, STANDARD, 0, ORDINARY)
    strength = plan.tracks.action_units.max(axis=(1, 2))
    labelled = np.zeros(scene.n_frames, bool)
    for expression in plan.expressions:
        labelled[expression.start : expression.end] = True
        assert strength[expression.start : expression.end].max() == pytest.approx(expression.peak, rel=1e-5)
        # The first and the last frame move visibly, the frames before and after do not.
        assert strength[[expression.start, expression.end - 1]].min() >= 0.7 * VISIBLE * expression.peak - 1e-6
        assert strength[[expression.start - 1, expression.end]].max() < VISIBLE * expression.peak

    assert len(plan.tracks) == scene.n_frames
    assert strength[~labelled].max() < VISIBLE


def test_a_video_is_the_same_whatever_was_planned_before() -> None:
    first, second = plan_corpus(STANDARD, 0)[1:3]
    alone = plan_video(second, STANDARD, 0, ORDINARY).tracks
    plan_video(first, STANDARD, 0, ORDINARY)
    after = plan_video(second, STANDARD, 0, ORDINARY).tracks

    assert (alone.pose == after.pose).all()
    assert (alone.action_units == after.action_units).all()


def test_hard_conditions_leave_the_expressions_alone() -> None:
    scene = plan_corpus(STANDARD, 0)[2]
    ordinary, hard = (plan_video(scene, STANDARD, 0, conditions) for conditions in (ORDINARY, HARD))

    assert ordinary.expressions == hard.expressions
    assert (ordinary.tracks.action_units == hard.tracks.action_units).all()
    assert np.ptp(hard.tracks.pose[:, 0]) > np.ptp(ordinary.tracks.pose[:, 0])


def test_distractors_also_happen_during_expressions() -> None:
    during = 0
    for scene in plan_corpus(STANDARD, 0)[1:6]:
        plan = plan_video(scene, STANDARD, 0, ORDINARY)
        for expression in plan.expressions:
            during += any(
                d.kind == "blink" and d.start < expression.end and expression.start < d.end for d in plan.distractors
            )

    assert during >= 5
