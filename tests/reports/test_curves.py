from __future__ import annotations

from pathlib import Path

import pytest

from fedn_lightning.reports.curves import draw_curves, panels_of, read_metrics, save_curves

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
