"""How far expressions move a face."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fedn_lightning.events import EXPRESSION_TYPES, ExpressionType
from fedn_synth.face.identity import Identity
from fedn_synth.face.motion import FaceTracks
from fedn_synth.face.muscles import EMOTION_UNITS
from fedn_synth.face.renderer import FaceRenderer
from fedn_synth.plan.corpus_plan import PlannedExpression, plan_corpus
from fedn_synth.plan.expressions import (
    MACRO_FRAMES,
    MACRO_PEAK,
    MICRO_FRAMES,
    MICRO_PEAK,
    MICRO_REACH,
    VISIBLE,
    TimedExpression,
    draw_expression,
    draw_length,
    limited,
    reach,
    rise_and_fall,
)
from fedn_synth.plan.presets import find_preset

EMOTIONS = [emotion for emotion in EMOTION_UNITS if emotion != "contempt"]


def expressions_of(kind: ExpressionType, emotion: str, n: int) -> list[TimedExpression]:
    rng = np.random.default_rng(0)
    planned = PlannedExpression(kind, emotion, "", "")
    return [draw_expression(planned, 100, draw_length(planned, rng), float(rng.random()), rng) for _ in range(n)]


@settings(deadline=None)
@given(st.integers(1, 60), st.integers(0, 40), st.integers(1, 60), st.floats(0, 0.15))
def test_movement_is_visible_from_onset_to_offset_and_nowhere_else(rise: int, hold: int, fall: int, sag: float) -> None:
    offset = rise + hold + fall
    t = np.arange(-100, offset + 100)
    visible = rise_and_fall(t, 0, rise, rise + hold, offset, sag) >= VISIBLE * (1 - 1e-9)

    assert t[visible].tolist() == list(range(offset + 1))


def test_a_part_of_the_course_is_a_part_of_the_whole() -> None:
    whole = rise_and_fall(np.arange(60), 3, 12, 30, 50, 0.15)

    assert (whole[5:20] == rise_and_fall(np.arange(5, 20), 3, 12, 30, 50, 0.15)).all()


def test_ramps_are_smooth() -> None:
    curve = rise_and_fall(np.arange(-20, 80), 0, 12, 25, 50)

    assert np.abs(np.diff(curve, 2)).max() < 0.04
    assert curve.max() == 1


@pytest.mark.parametrize(("kind", "emotion"), list(product(EXPRESSION_TYPES, EMOTIONS)))
def test_an_act_is_visible_exactly_as_long_as_asked(kind: ExpressionType, emotion: str) -> None:
    for expression in expressions_of(kind, emotion, 60):
        peaks = expression.intensities(200).max(axis=0)
        track = expression.intensities(expression.end - expression.start + 60, -30)
        share = np.divide(track, peaks, out=np.zeros_like(track), where=peaks > 0).max(axis=(1, 2))
        seen = np.flatnonzero(share >= VISIBLE * (1 - 1e-6)) + expression.start - 30

        assert (seen[0], seen[-1] + 1, len(seen)) == (
            expression.start,
            expression.end,
            expression.end - expression.start,
        )
        assert expression.start < expression.apex < expression.end
        assert track.max() == pytest.approx(expression.peak)


@pytest.mark.parametrize("emotion", EMOTIONS)
def test_macro_and_micro_expressions_keep_their_ranges(emotion: str) -> None:
    for kind, frames, peaks in (("macro", MACRO_FRAMES, MACRO_PEAK), ("micro", MICRO_FRAMES, MICRO_PEAK)):
        expressions = expressions_of(kind, emotion, 80)  # type: ignore[arg-type]
        assert all(frames[0] <= expression.end - expression.start <= frames[1] for expression in expressions)
        assert all(peaks[0] <= expression.peak <= peaks[1] for expression in expressions)


def test_macro_lengths_have_the_median_of_the_release() -> None:
    rng = np.random.default_rng(1)
    lengths = [draw_length(PlannedExpression("macro", "happiness", "", ""), rng) for _ in range(2000)]

    assert 33 <= np.median(lengths) <= 40
    assert min(lengths) < 20
    assert max(lengths) > 95


def test_many_micro_expressions_are_partial_or_one_sided_and_no_macro_expression_is() -> None:
    def partial(expression: TimedExpression) -> bool:
        return len(expression.moves) < 5

    def one_sided(expression: TimedExpression) -> bool:
        return all(min(move.left, move.right) < 0.4 * max(move.left, move.right) for move in expression.moves)

    micro, macro = expressions_of("micro", "fear", 300), expressions_of("macro", "fear", 300)

    assert 0.25 < np.mean([partial(expression) for expression in micro]) < 0.45
    assert 0.2 < np.mean([one_sided(expression) for expression in micro]) < 0.4
    assert not any(partial(expression) or one_sided(expression) for expression in macro)


def test_strong_emotions_part_the_lips_and_weak_ones_do_not() -> None:
    for expression in expressions_of("macro", "happiness", 100):
        assert expression.action_units == ("6+12+25" if expression.peak >= 0.6 else "6+12")


def test_onset_is_mostly_faster_than_offset_in_macro_expressions() -> None:
    shares = [
        (expression.apex - expression.start) / (expression.end - expression.start)
        for expression in expressions_of("macro", "anger", 200)
    ]

    assert np.mean(shares) < 0.45


def test_vivid_people_show_more() -> None:
    rng = np.random.default_rng(2)
    planned = PlannedExpression("macro", "surprise", "", "")
    restrained, vivid = (
        np.mean([draw_expression(planned, 0, 40, e, rng).peak for _ in range(200)]) for e in (0.1, 0.9)
    )

    assert vivid > restrained + 0.15


def micro_expressions(count: int = 300):
    expressions = [p for scene in plan_corpus(find_preset("casme2"), 3) for p in scene.expressions if p.type == "micro"]
    rng = np.random.default_rng(0)
    return [
        draw_expression(expressions[i % len(expressions)], 0, int(rng.integers(8, 17)), rng.random(), rng)
        for i in range(count)
    ]


def gains_of(expression):
    return {move.code: (move.left, move.right) for move in expression.moves}


def test_a_weaker_expression_is_the_same_expression():
    smile = {"6": (0.3, 0.2), "12": (0.35, 0.25)}
    weak = limited(smile, 1.0)
    assert np.isclose(reach(weak), 1.0)
    assert np.isclose(weak["12"][0] / weak["6"][1], 0.35 / 0.2)
    assert limited(smile, 99.0) == smile


def test_micro_expressions_move_between_half_a_pixel_and_three():
    moved = np.array([reach(gains_of(expression)) for expression in micro_expressions()])
    assert moved.max() <= MICRO_REACH + 1e-6
    assert np.percentile(moved, 2) >= 0.5
    assert 1.0 < np.median(moved) < 2.8
    peaks = np.array([expression.peak for expression in micro_expressions()])
    assert peaks.max() <= MICRO_PEAK[1]


def test_the_limit_holds_on_other_faces_too():
    expressions = sorted(micro_expressions(100), key=lambda expression: -reach(gains_of(expression)))[:10]
    for seed in range(40, 46):
        renderer = FaceRenderer(Identity.sample(seed))
        for expression in expressions:
            tracks = FaceTracks.neutral(expression.end)
            tracks.action_units[:] = expression.intensities(expression.end)
            rest = renderer.landmarks(FaceTracks.neutral(1), 0)
            moved = np.linalg.norm(renderer.landmarks(tracks, expression.apex) - rest, axis=1).max()
            assert 1.0 < moved < 3.3
