"""How far expressions move a face."""

import numpy as np

from fedn_synth.face.identity import Identity
from fedn_synth.face.renderer import FaceRenderer
from fedn_synth.face.tracks import FaceTracks
from fedn_synth.plan.corpus_plan import plan_corpus
from fedn_synth.plan.expressions import MICRO_PEAK, MICRO_REACH, draw_expression
from fedn_synth.plan.presets import find_preset
from fedn_synth.plan.reach import limited, reach


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
