"""What a detector finds in a video file is what `fedn test` finds in the clip store made of it."""

import numpy as np
import pytest

from fedn_lightning import Detector
from fedn_lightning.motion.features import MotionCache, MotionStream
from fedn_lightning.video.store import ClipStore


@pytest.mark.parametrize("align", ["video", "track"])
def test_the_events_are_those_of_a_test(trained, films, align):
    record = trained.tests[align]
    detector = Detector.from_checkpoint(trained.path, "cpu", align)
    assert detector.config.threshold == record.threshold
    for index, video in enumerate(record.videos):  # thirty, and fifty, which is resampled to the working rate
        found = detector.detect(films / f"{video.name}.mp4")
        expected = record.predictions[record.predictions.video == index]
        assert len(expected) > 20
        (face,) = found.faces
        np.testing.assert_allclose(face.proposals.to_rows()[:, 2:], expected.to_rows()[:, 2:], atol=1e-5)
        np.testing.assert_allclose(face.curve, record.curves[index], atol=1e-6)
        assert found.n_frames == record.n_frames[index]
        listed = sum(1 + len(e.also) for e in found)  # a movement found as both types is listed once
        assert listed == (expected.score >= record.threshold[0]).sum() > 0


def test_a_network_with_a_motion_stream_is_given_the_motion_that_a_test_gives_it(trained_on_motion, films, monkeypatch):
    given, add = [], MotionStream.add

    def listen(self, crops):
        given.append(add(self, crops))
        return given[-1]

    monkeypatch.setattr(MotionStream, "add", listen)
    detector = Detector.from_checkpoint(trained_on_motion.path, "cpu", "video")
    assert (detector.config.window, detector.config.stride, detector.config.inference.per_window) == (128, 96, 100)
    root, record = trained_on_motion.path.parent / "video", trained_on_motion.tests["video"]
    for index, video in enumerate(record.videos):
        given.clear()
        found = detector.detect(films / f"{video.name}.mp4")
        expected = MotionCache(root / "motion", detector.config.motion).features(ClipStore(root).video(video.key))
        np.testing.assert_array_equal(np.concatenate(given), expected)
        assert np.abs(expected.astype(float)).mean() > 0.5
        events = record.predictions[record.predictions.video == index]
        assert len(events) > 20
        np.testing.assert_allclose(found.faces[0].proposals.to_rows()[:, 2:], events.to_rows()[:, 2:], atol=1e-5)
        assert found.seconds["motion"] > 0
