"""Parts of the page's pictures whose numbers can be checked."""

from __future__ import annotations

import math
from xml.etree import ElementTree

import numpy as np
import pytest
from toys import make_record

from fedn_lightning.events import EventTable
from fedn_lightning.metrics.functional.detection import detection_scores
from fedn_lightning.metrics.functional.threshold import operating_curves
from fedn_lightning.models.postprocessing import confidence_curves
from fedn_lightning.motion.features import AREAS
from fedn_lightning.reports.html.attention import LONGEST, MOTION_SIDE, motion_picture
from fedn_lightning.reports.html.charts import (
    LEFT,
    TOP,
    Line,
    Mark,
    line_chart,
    overlap_chart,
    threshold_charts,
    training_chart,
)
from fedn_lightning.reports.html.timelines import confidence_steps, step_path

SVG = "{http://www.w3.org/2000/svg}"


def points(chart: str) -> list[np.ndarray]:
    """Points of each polyline of a chart."""
    lines = ElementTree.fromstring(chart).findall(f".//{SVG}polyline")
    return [np.array([pair.split(",") for pair in line.get("points").split()], float) for line in lines]


def test_a_line_lies_between_the_axes() -> None:
    (drawn,) = points(line_chart("t", "x", "y", [Line("a", np.array([2.0, 4.0, 6.0]), np.array([0.0, 5.0, 20.0]))],
                                 (2.0, 4.0), (0.0, 10.0)))  # fmt: skip
    assert drawn[:, 0].tolist() == [LEFT, 380 - 12]  # 6 lies outside
    assert drawn[:, 1].tolist() == [280 - 40, (TOP + 240) / 2]


def test_a_long_legend_takes_more_rows() -> None:
    names = ["overall_f1", "macro_f1", "micro_f1", "map@0.5", "joint", "distance", "confidence", "emotion"]
    chart = ElementTree.fromstring(line_chart("t", "x", "y", [Line(n, np.zeros(1), np.zeros(1)) for n in names]))
    entries = [text for text in chart.findall(f"{SVG}text") if text.text in names]
    assert len(entries) == len(names)
    assert all(float(text.get("x")) + 6.2 * len(text.text) <= 380 for text in entries)
    top = float(chart.get("viewBox").split()[1])
    title = float(chart.find(f"{SVG}text").get("y"))
    assert top < title < min(float(text.get("y")) for text in entries)
    assert max(float(text.get("y")) for text in entries) < TOP


def test_marks_outside_the_range_are_not_drawn() -> None:
    chart = line_chart("t", "x", "y", [], marks=[Mark(0.25, "here"), Mark(1.5, "there")])
    assert "here" in chart
    assert "there" not in chart


def test_threshold_charts_mark_what_was_chosen_and_nothing_infinite() -> None:
    record = make_record()
    curves = operating_curves(record.predictions, record.truths)
    macro, micro = threshold_charts(curves, {"run": (0.5, math.inf)})
    assert "chosen 0.50" in macro
    assert "chosen" not in micro
    assert len(points(macro)) == 3


def test_average_precision_falls_with_the_iou() -> None:
    record = make_record()
    scores = detection_scores(record.predictions, record.truths)
    mean, *classes = points(overlap_chart(scores, record.emotions))
    assert (np.diff(mean[:, 1]) >= 0).all()  # downwards
    assert len(classes) == len(scores.classes) == 2


def test_a_training_chart_begins_at_zero_and_holds_every_point() -> None:
    (drawn,) = points(training_chart("t", [Line("loss", np.array([0.0, 10.0]), np.array([3.1, 0.0]))]))
    assert drawn[1].tolist() == [380 - 12, 280 - 40]
    assert drawn[0, 1] == pytest.approx(TOP + (1 - 3.1 / 5) * (280 - 40 - TOP), abs=0.1)


def test_confidence_in_a_frame_is_that_of_the_highest_scoring_proposal() -> None:
    rng = np.random.default_rng(1)
    start = rng.uniform(-5, 180, 40)
    rows = np.stack([np.zeros(40), start, start + rng.uniform(1, 40, 40), rng.random(40)], axis=1)
    proposals = np.concatenate([rows, np.zeros((40, 3))], axis=1)
    events = EventTable.from_rows([[0, 0, a, b, 0, -1, score] for _, a, b, score in rows])
    np.testing.assert_array_equal(confidence_steps(events, 200), confidence_curves(proposals, 200)[:, 0])


def test_a_step_path_is_no_longer_than_its_steps() -> None:
    assert step_path(np.zeros(5000)) == "M0 99H5000V99Z"
    assert step_path(np.full(10, 1.0)) == "M0 99V56H10V99Z"


def test_the_longest_arrow_has_its_length_and_points_along_the_motion() -> None:
    moved = np.zeros((len(AREAS), 2))
    moved[2] = [0.0, -0.01]
    found = motion_picture(np.zeros((32, 32, 3), np.uint8), moved, 17)
    lines = [[arrow[key] for key in ("x1", "y1", "x2", "y2")] for arrow in found["arrows"]]
    assert len(lines) == len(AREAS)
    x1, y1, x2, y2 = lines[2]
    assert x1 == x2
    assert y1 - y2 == pytest.approx(LONGEST * MOTION_SIDE, abs=0.2)
    assert all(line[:2] == line[2:] for k, line in enumerate(lines) if k != 2)
    assert found["frame"] == 17


def test_a_face_at_rest_has_no_arrows() -> None:
    found = motion_picture(np.zeros((8, 8, 3), np.uint8), np.zeros((len(AREAS), 2)), 0)
    assert all((arrow["x1"], arrow["y1"]) == (arrow["x2"], arrow["y2"]) for arrow in found["arrows"])
