"""What a detector finds in a video file is what `fedn test` finds in the clip store made of it."""

import numpy as np
import pytest

from fedn_lightning import Detector


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
        assert len(found) == (expected.score >= record.threshold[0]).sum() > 0
