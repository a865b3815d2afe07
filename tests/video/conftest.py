import pytest

from fedn_synth.face.motion import FaceTracks
from lookalikes.faces import actor


@pytest.fixture(scope="session")
def face():
    """A generated face to film."""
    return actor()


@pytest.fixture
def still_face(face):
    """A picture `(480, 640, 3)` of the motionless face, and its landmarks `(K, 2)`."""
    tracks = FaceTracks.neutral(1)
    return face.render(tracks, 0, 0), face.landmarks(tracks, 0)
