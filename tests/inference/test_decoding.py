"""A child that hangs, dies or talks nonsense ends in a sentence, and no process is left."""

import sys
import time

import pytest

from fedn_lightning.errors import FaceNotFoundError, VideoError
from fedn_lightning.inference.decoding import CropRequest, CropStream, MiscountedError
from fedn_lightning.video.store import CropSpec

REQUEST = CropRequest("v.mp4", CropSpec())
SAY = "import pickle, sys; from fedn_lightning.inference.decoding import Failed; "


def child(code):
    return (sys.executable, "-S", "-c", code) if "fedn" not in code else (sys.executable, "-c", code)


@pytest.mark.parametrize(
    ("code", "kind", "message"),
    [
        ("import time; time.sleep(60)", VideoError, r"v\.mp4: the decoder made no progress for 0\.6 s"),
        ("import os; os._exit(3)", VideoError, r"v\.mp4: the decoder died \(exit code 3\)"),
        ("print('not a message')", VideoError, "the decoder died"),
        (
            SAY + "pickle.dump(Failed('FaceNotFoundError', 'No face.'), sys.stdout.buffer)",
            FaceNotFoundError,
            r"No face\.",
        ),
        (SAY + "pickle.dump(Failed('MiscountedError', 'Count.'), sys.stdout.buffer)", MiscountedError, "Count"),
    ],
)
def test_a_child_that_fails(code, kind, message):
    stall = 0.6 if "sleep" in code else 60.0
    stream = CropStream(REQUEST, stall, child(code))
    started = time.monotonic()
    with pytest.raises(kind, match=message):
        stream.__enter__()
    assert time.monotonic() - started < 30
    assert stream._child.poll() is not None
    assert not stream._listener.is_alive()
