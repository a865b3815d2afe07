from __future__ import annotations

from pathlib import Path

import numpy as np
from pulses import SIZE, write_video

from fedn_lightning.events import Video
from fedn_lightning.video.film_strip import GAP, cut_crops, join_crops, key_frames
from fedn_lightning.video.store import ClipStore


def test_an_annotated_apex_goes_before_the_peak_of_the_confidence() -> None:
    curve = np.zeros(40)
    curve[15] = 1
    assert key_frames(10, 21, apex=12, curve=curve) == [10, 12, 20]
    assert key_frames(10, 21, curve=curve) == [10, 15, 20]
    assert key_frames(10, 21, curve=np.zeros(40)) == [10, 15, 20]
    assert key_frames(30.5, 90, curve=curve) == [30.5, 59.75, 89]  # the curve ends before the interval
    assert key_frames(4, 4.5) == [4, 4, 4]


def test_crops_are_those_of_the_nearest_stored_frames(tmp_path: Path) -> None:
    video = Video("x", "p", "v", "nowhere", 30.0)
    frames = np.repeat(np.arange(20, dtype=np.uint8), SIZE * SIZE * 3).reshape(20, SIZE, SIZE, 3)
    write_video(tmp_path, video, frames)
    crops = cut_crops(ClipStore(tmp_path).video(video.key), [3.2, 19.0, 25.0])
    assert [int(crop[0, 0, 0]) for crop in crops] == [3, 19, 19]


def test_crops_are_laid_side_by_side() -> None:
    black = np.zeros((8, 8, 3), np.uint8)
    strip = join_crops([black, black], side=16)
    assert strip.shape == (16, 2 * 16 + GAP, 3)
    assert (strip[:, 16 : 16 + GAP] == 255).all()
    assert (strip[:, :16] == 0).all()
