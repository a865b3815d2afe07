import sys
import types

import cv2
import numpy as np
import pytest

from fedn_lightning.errors import ConfigError, FaceNotFoundError
from fedn_lightning.events import Corpus, Video
from fedn_lightning.video import landmarks as mesh
from fedn_lightning.video.alignment import canonical_eyes
from fedn_lightning.video.faces import find_face
from fedn_lightning.video.landmarks import EYES, read_eyes, table_of
from fedn_lightning.video.media import probe
from fedn_lightning.video.prepare import prepare
from fedn_lightning.video.store import ClipStore
from lookalikes.movies import numbered, write_movie

N = 20


def write_openface(path, shift=0.0, unsure=()):
    """OpenFace's table of a face that drifts to the right, eyes at (30, 40) and (70, 40) at first."""
    path.parent.mkdir(parents=True, exist_ok=True)
    header = ["frame", "face_id", "timestamp", "confidence", "success"]
    header += [f"{axis}_{i}" for axis in "xy" for i in range(68)]
    lines = [", ".join(header)]
    for frame in range(N):
        x, y = np.zeros(68), np.zeros(68)
        for eye, centre in zip(EYES, (30, 70), strict=True):
            ring = np.linspace(0, 2 * np.pi, 6, endpoint=False)
            x[list(eye)], y[list(eye)] = centre + shift * frame + 5 * np.cos(ring), 40 + 3 * np.sin(ring)
        sure = 0.2 if frame in unsure else 0.98
        wild = 500 if frame in unsure else 0
        lines.append(", ".join(f"{v:g}" for v in [frame + 1, 0, frame / 30, sure, 1, *(x + wild), *y]))
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture
def toy(tmp_path):
    write_movie(tmp_path / "a.mp4", (numbered(i, 112, 112) for i in range(N)))
    header = probe(tmp_path / "a.mp4")
    return Corpus("toy", (Video("toy", "s1", "a", str(tmp_path / "a.mp4"), header.fps, 1, header.n_frames),), ())


def test_eyes_are_read_and_unsure_frames_interpolated(tmp_path):
    path = write_openface(tmp_path / "a.csv", shift=1.0, unsure=(0, 7, 8))
    eyes = read_eyes(path, N)
    assert eyes[5].tolist() == [[pytest.approx(35), pytest.approx(40)], [pytest.approx(75), pytest.approx(40)]]
    assert eyes[8, 0, 0] == pytest.approx(38)
    assert eyes[0, 0, 0] == pytest.approx(31), "the nearest sure frame"


def test_tables_that_say_nothing_are_explained(tmp_path):
    path = write_openface(tmp_path / "a.csv", unsure=range(N))
    with pytest.raises(FaceNotFoundError, match="OpenFace has no confident frame"):
        read_eyes(path, N)
    path.write_text("frame, confidence\n1, 0.9\n")
    with pytest.raises(FaceNotFoundError, match=r"a\.csv cannot be read as OpenFace's table"):
        read_eyes(path, N)


def test_openface_places_and_follows_the_crop(toy, tmp_path):
    write_openface(tmp_path / "openface" / "s1" / "a.csv", shift=1.0)
    finder = f"openface:{tmp_path / 'openface'}"
    for align in ("video", "track"):
        report = prepare(toy, tmp_path / align, crop_size=64, jobs=0, align=align, finder=finder)
        assert report.failed == {}
        stored = ClipStore(tmp_path / align).video("s1/a")
        left = stored.transform @ [39.5, 40, 1]
        assert left == pytest.approx(canonical_eyes(64)[0], abs=0.6)


def test_a_changed_table_makes_the_store_stale(toy, tmp_path):
    write_openface(tmp_path / "openface" / "a.csv")
    options = {"crop_size": 64, "jobs": 0, "finder": f"openface:{tmp_path / 'openface'}"}
    assert table_of(tmp_path / "openface", "s1/a") is not None
    assert prepare(toy, tmp_path / "store", **options).prepared == ["s1/a"]
    assert prepare(toy, tmp_path / "store", **options).reused == ["s1/a"]
    write_openface(tmp_path / "openface" / "a.csv", shift=1.0)
    assert prepare(toy, tmp_path / "store", **options).prepared == ["s1/a"]
    (tmp_path / "openface" / "a.csv").unlink()
    assert "cannot be read as OpenFace's table" in prepare(toy, tmp_path / "store", **options).failed["s1/a"]


def test_unknown_finders_are_refused(toy, tmp_path):
    for finder in ("dlib", "openface:", "openface:/nowhere"):
        with pytest.raises(ConfigError, match=r"finder is .*; it must be cascade, mesh, or openface:FOLDER"):
            prepare(toy, tmp_path / "store", finder=finder, jobs=0)


class StandInMesh:
    """Answers as mediapipe's face mesh does: 468 points, relative to the picture's size."""

    def __init__(self, **options):
        self.options = options

    def process(self, image):
        if image.max() == 0:
            return types.SimpleNamespace(multi_face_landmarks=None)
        points = [types.SimpleNamespace(x=0.5, y=0.5) for _ in range(468)]
        for index, (x, y) in {33: (0.30, 0.4), 133: (0.40, 0.4), 362: (0.60, 0.4), 263: (0.70, 0.4)}.items():
            points[index] = types.SimpleNamespace(x=x, y=y)
        return types.SimpleNamespace(multi_face_landmarks=[types.SimpleNamespace(landmark=points)])


@pytest.fixture
def mediapipe(monkeypatch):
    mesh._mesh.cache_clear()
    solutions = types.SimpleNamespace(face_mesh=types.SimpleNamespace(FaceMesh=StandInMesh))
    monkeypatch.setitem(sys.modules, "mediapipe", types.SimpleNamespace(solutions=solutions))
    yield
    mesh._mesh.cache_clear()


def test_the_mesh_gives_eyes_midway_between_their_corners(mediapipe):
    picture = np.full((100, 200), 9, np.uint8)
    face = find_face(picture, "mesh")
    assert face.left == pytest.approx((69.5, 39.5))
    assert face.right == pytest.approx((129.5, 39.5))
    assert face.eyes_seen
    assert find_face(np.zeros_like(picture), "mesh") is None


def test_the_mesh_finds_faces_for_the_store(mediapipe, toy, tmp_path):
    assert prepare(toy, tmp_path / "store", crop_size=64, jobs=0, finder="mesh").prepared == ["s1/a"]
    assert ClipStore(tmp_path / "store").video("s1/a").spec.finder == "mesh"


def test_a_missing_mesh_says_how_to_install_it(monkeypatch, toy, tmp_path):
    mesh._mesh.cache_clear()
    monkeypatch.setitem(sys.modules, "mediapipe", None)
    with pytest.raises(ConfigError, match=r"finder: mesh needs mediapipe.*pip install --no-deps mediapipe==0\.10\.21"):
        find_face(np.zeros((50, 50), np.uint8), "mesh")
    with pytest.raises(ConfigError, match="finder: mesh needs mediapipe"):
        prepare(toy, tmp_path / "store", finder="mesh", jobs=0)


def test_the_cascade_is_not_biased_to_one_side(still_face):
    picture, _ = still_face
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    face, mirrored = find_face(grey), find_face(np.ascontiguousarray(grey[:, ::-1]))
    middle = (face.left[0] + face.right[0] + mirrored.left[0] + mirrored.right[0]) / 4
    assert middle == pytest.approx((grey.shape[1] - 1) / 2, abs=1.5)
