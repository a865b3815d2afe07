from __future__ import annotations

import cv2
import numpy as np
import pytest

from fedn_lightning.events import EventTable
from fedn_lightning.inference.reliability import CropWatch, UnreliableSpan, find_spans, without_unreliable


def watched(pictures: list[np.ndarray]) -> list[tuple[int, int, str]]:
    watch = CropWatch()
    for picture in pictures:
        watch.add(picture[None])
    return list(find_spans(watch.flags(), fps=30.0))


@pytest.fixture
def crops(pictures) -> list[np.ndarray]:
    """The filmed face that sways and smiles, cropped to its middle."""
    return [np.ascontiguousarray(pictures[i % len(pictures)][40:200, 80:240]) for i in range(120)]


def test_a_face_that_moves_is_reliable(crops) -> None:
    assert watched(crops) == []
    lit = [np.clip(c * (0.7 + 0.3 * np.sin(i / 9)), 0, 255).astype(np.uint8) for i, c in enumerate(crops)]
    assert watched(lit) == []


def test_a_stretch_without_the_face_is_found_with_its_ends(crops) -> None:
    wall = np.linspace(0, 255, 160).astype(np.uint8)[:, None, None] * np.ones((1, 160, 3), np.uint8)
    (span,) = watched([*crops[:50], *[wall] * 30, *crops[80:]])
    assert span == (43, 87, "no face")  # a cut concerns the frames on both sides, and 6 more


def test_a_blurred_stretch_is_found(crops) -> None:
    soft = [cv2.GaussianBlur(c, (0, 0), 12) for c in crops[40:60]]
    (span,) = watched([*crops[:40], *soft, *crops[60:]])
    assert span == (34, 66, "blurred")


def test_nothing_begins_in_an_unreliable_stretch() -> None:
    events = EventTable.from_rows([[0, 0, start, start + 20, 0, -1, 0.9] for start in (10, 30, 49, 50)])
    kept = without_unreliable(events, [UnreliableSpan(1, 30, 50, "cut")])
    assert kept.tolist() == [True, False, False, True]
    assert without_unreliable(events, []).all()
