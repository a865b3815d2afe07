from __future__ import annotations

from lightning.pytorch import LightningModule
from toys import make_record

from fedn_lightning.callbacks.results import busiest_video, record_of, scores_of


class Task(LightningModule):
    def __init__(self, **left: object) -> None:
        super().__init__()
        for name, value in left.items():
            setattr(self, name, value)


def test_what_a_task_left() -> None:
    record = make_record()
    assert record_of(Task(record=record)) is record
    assert record_of(Task(record=None)) is None
    assert record_of(Task()) is None
    assert scores_of(Task(scores={"a": 1})) == {"a": 1}
    assert scores_of(Task()) == {}


def test_the_picture_is_of_the_video_with_most_truths() -> None:
    assert busiest_video(make_record()) == 0
