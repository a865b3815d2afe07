import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedn_synth.plan.corpus_plan import cast
from fedn_synth.plan.distractors import HARD, ORDINARY
from fedn_synth.plan.expressions import VISIBLE
from fedn_synth.plan.presets import PRESETS
from fedn_synth.plan.video_plan import GAP, place, plan_acts, write_screenplay

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
    for scene in cast(preset, 5):
        acts = plan_acts(scene, preset, 5)
        for i in range(1, len(acts)):
            distance = acts[i].start - acts[i - 1].end
            assert -6 < distance < 0 if i in scene.overlaps else distance >= GAP


def test_tracks_agree_with_the_labels() -> None:
    scene = next(scene for scene in cast(STANDARD, 0) if len(scene.parts) > 5 and not scene.overlaps)
    play = write_screenplay(scene, STANDARD, 0, ORDINARY)
    strength = play.performance.action_units.max(axis=(1, 2))
    labelled = np.zeros(scene.n_frames, bool)
    for act in play.acts:
        labelled[act.start : act.end] = True
        assert strength[act.start : act.end].max() == pytest.approx(act.peak, rel=1e-5)
        # The first and the last frame move visibly, the frames before and after do not.
        assert strength[[act.start, act.end - 1]].min() >= 0.7 * VISIBLE * act.peak - 1e-6
        assert strength[[act.start - 1, act.end]].max() < VISIBLE * act.peak

    assert len(play.performance) == scene.n_frames
    assert strength[~labelled].max() < VISIBLE


def test_a_video_is_the_same_whatever_was_planned_before() -> None:
    first, second = cast(STANDARD, 0)[1:3]
    alone = write_screenplay(second, STANDARD, 0, ORDINARY).performance
    write_screenplay(first, STANDARD, 0, ORDINARY)
    after = write_screenplay(second, STANDARD, 0, ORDINARY).performance

    assert (alone.pose == after.pose).all()
    assert (alone.action_units == after.action_units).all()


def test_hard_conditions_leave_the_expressions_alone() -> None:
    scene = cast(STANDARD, 0)[2]
    ordinary, hard = (write_screenplay(scene, STANDARD, 0, conditions) for conditions in (ORDINARY, HARD))

    assert ordinary.acts == hard.acts
    assert (ordinary.performance.action_units == hard.performance.action_units).all()
    assert np.ptp(hard.performance.pose[:, 0]) > np.ptp(ordinary.performance.pose[:, 0])


def test_distractors_also_happen_during_expressions() -> None:
    during = 0
    for scene in cast(STANDARD, 0)[1:6]:
        play = write_screenplay(scene, STANDARD, 0, ORDINARY)
        for act in play.acts:
            during += any(d.kind == "blink" and d.start < act.end and act.start < d.end for d in play.distractors)

    assert during >= 5
