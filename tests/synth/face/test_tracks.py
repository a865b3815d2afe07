from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from fedn_synth.face.tracks import FRAME_SHAPES, FaceTracks


def test_tracks_are_float32_with_time_first() -> None:
    still = FaceTracks.neutral(5)
    assert len(still) == 5
    for name, shape in FRAME_SHAPES.items():
        track = getattr(still, name)
        assert track.shape == (5, *shape)
        assert track.dtype == np.float32


def test_slice_is_a_view_of_the_same_frames() -> None:
    tracks = FaceTracks.neutral(6)
    tracks.blink[:] = np.arange(6)
    part = tracks[2:4]
    assert len(part) == 2
    assert part.blink.tolist() == [2, 3]
    assert np.shares_memory(part.pose, tracks.pose)


@pytest.mark.parametrize("track", FRAME_SHAPES)
def test_tracks_of_another_length_are_refused(track: str) -> None:
    still, longer = FaceTracks.neutral(3), FaceTracks.neutral(4)
    with pytest.raises(ValueError, match="must have shape"):
        dataclasses.replace(still, **{track: getattr(longer, track)})
