""""""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from toys import make_record

from fedn_lightning.events import EventTable
from fedn_lightning.metrics.functional.matching import match
from fedn_lightning.reports.figures import (
    LANES,
    confidence_top,
    draw_curves,
    draw_timeline,
    panels_of,
    read_metrics,
    save_curves,
    save_timelines,
    summary,
)
from fedn_lightning.utils.drawing import emotion_colours


def bars(figure) -> dict[str, set[tuple[float, float]]]:
    """Start and end in seconds of all bars, by lane."""
    lanes: dict[str, set[tuple[float, float]]] = {lane: set() for lane in LANES}
    for patch in figure.axes[0].patches:
        lane = LANES[round(patch.get_y() + patch.get_height() / 2)]
        lanes[lane].add((round(patch.get_x(), 4), round(patch.get_x() + patch.get_width(), 4)))
    return lanes


def test_bars_lie_in_their_lane_at_their_time() -> None:
    drawn = bars(draw_timeline(make_record(), 0))
    assert drawn["macro truth"] == {(1.0, round(70 / 30, 4)), (round(200 / 30, 4), 8.0)}
    assert drawn["macro found"] == {(round(32 / 30, 4), round(70 / 30, 4)), (5.0, 6.0)}  # not the faint proposal
    assert len(drawn["micro truth"]) == len(drawn["micro found"]) == 1


def test_a_false_positive_is_hatched_and_a_hit_is_not() -> None:
    hatched = {round(p.get_x(), 4) for p in draw_timeline(make_record(), 0).axes[0].patches if p.get_hatch()}
    assert hatched == {5.0}


def test_the_threshold_is_drawn_unless_there_is_none() -> None:
    record = replace(make_record(), threshold=(0.4, math.inf))
    said = [text.get_text() for text in draw_timeline(record, 0).axes[1].texts]
    assert said == ["macro threshold 0.4"]


@pytest.mark.parametrize(
    ("surest", "top"), [(0.8, 1.0), (1.0, 1.0), (0.46, 1.0), (0.4, 0.5), (0.012, 0.02), (0.0, 0.01)]
)
def test_the_confidence_axis_fits_an_unsure_network(surest: float, top: float) -> None:
    record = make_record()
    curves = tuple(np.full((300, 2), surest) for _ in record.videos)
    assert confidence_top(replace(record, curves=curves, threshold=(surest / 2, math.inf))) == top


@pytest.mark.parametrize(("seconds", "rows"), [(10, 1), (60, 1), (61, 2), (145, 3)])
def test_long_videos_get_several_rows(seconds: int, rows: int) -> None:
    figure = draw_timeline(make_record(n_frames=30 * seconds), 0)
    assert len(figure.axes) == 2 * rows
    ends = [axis.get_xlim() for axis in figure.axes[::2]]
    assert ends[0][0] == 0
    assert ends[-1][1] == pytest.approx(seconds)
    assert all(a[1] == pytest.approx(b[0]) for a, b in itertools.pairwise(ends))


def test_summary_counts_like_the_protocol() -> None:
    record = make_record()
    found = record.predictions[record.predictions.score >= 0.5]
    line = summary(record.truths, found, match(found, record.truths))
    assert line == "1 of 2 macro found, 1 of 1 micro found, 1 false positive"


def test_every_class_has_a_colour_of_its_own() -> None:
    for emotions in (("negative", "positive", "surprise"), ("one", "two", "three"), tuple("abcdef")):
        assert len(set(emotion_colours(emotions).values())) == len(emotions)


def test_every_video_gets_a_picture_with_something_on_it(tmp_path: Path) -> None:
    record = replace(make_record(), predictions=EventTable(), curves=())
    paths = save_timelines(record, tmp_path)
    assert [path.name for path in paths] == ["05_05_0101disgust.png", "05_05_0102calm.png"]
    for path in paths:
        image = cv2.imread(str(path))
        assert image.shape[1] == 1540
        assert len(np.unique(image)) > 50


# As Lightning writes it: the learning rate without an epoch, validation before training.
LOG = """epoch,lr-SGD,step,test/f1,train/loss,val/f1,val/loss
,0.1,0,,,,
0,,9,,,0.3,2.0
0,,9,,3.0,,
,0.05,10,,,,
1,,19,,,0.5,1.0
1,,19,,2.0,,
2,,20,0.7,,,
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "metrics.csv"
    path.write_text(LOG)
    return path


def test_every_value_stands_at_its_epoch(log: Path) -> None:
    series = read_metrics(log)
    assert series["val/loss"] == ([1.0, 2.0], [2.0, 1.0])
    assert series["lr-SGD"] == ([pytest.approx(0.1), pytest.approx(1.1)], [0.1, 0.05])


def test_panels_hold_what_belongs_together(log: Path) -> None:
    panels = {title: sorted(content) for title, content in panels_of(read_metrics(log))}
    assert panels == {
        "loss": ["train/loss", "val/loss"], "validation score": ["val/f1"], "learning rate": ["lr-SGD"],
    }  # fmt: skip


def test_the_picture_draws_the_values(log: Path) -> None:
    figure = draw_curves(log)
    assert figure is not None
    lines = {line.get_label(): list(line.get_ydata()) for axis in figure.axes for line in axis.lines}
    assert lines["train/loss"] == [3.0, 2.0]


def test_nothing_to_draw(tmp_path: Path) -> None:
    assert save_curves(tmp_path / "missing.csv", tmp_path / "c.png") is None
    (tmp_path / "metrics.csv").write_text("epoch,step,test/f1\n0,1,0.5\n")
    assert save_curves(tmp_path / "metrics.csv", tmp_path / "c.png") is None
    assert not (tmp_path / "c.png").exists()
