import copy
import os
import sys
import types
import zipfile

import cv2
import numpy as np
import pytest
import torch

from fedn_lightning.errors import CheckpointError, ConfigError, FaceNotFoundError
from fedn_lightning.events import Corpus, Video
from fedn_lightning.models.encoder import EncoderConfig
from fedn_lightning.video import landmarks as mesh
from fedn_lightning.video.alignment import canonical_eyes
from fedn_lightning.video.faces import EYES as SAMPLE_EYES
from fedn_lightning.video.faces import find_face, find_faces, moving_face, sample_face
from fedn_lightning.video.landmarks import EYE_CORNERS, EYES, read_eyes, table_of
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
        with pytest.raises(ConfigError, match=r"finder is .*; it must be cascade, mesh, landmarker:FILE"):
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


def test_the_landmarker_finds_the_eyes_of_a_face():
    """MediaPipe itself, where it is installed; tests/support/face_task.py makes a model."""
    pytest.importorskip("mediapipe", minversion="1")
    if "FEDN_FACE_LANDMARKER" not in os.environ:
        pytest.skip("FEDN_FACE_LANDMARKER does not name a face_landmarker.task")
    finder = f"landmarker:{os.environ['FEDN_FACE_LANDMARKER']}"
    grey = cv2.cvtColor(sample_face(), cv2.COLOR_RGB2GRAY)
    (face,) = find_faces(np.concatenate([grey, np.full_like(grey, 90)], axis=1), finder)
    assert np.hypot(*(np.array([face.left, face.right]) - SAMPLE_EYES).T).max() < 5
    assert find_faces(np.full_like(grey, 90), finder) == []


def test_the_landmarks_of_crops_are_features():
    """MediaPipe itself, as the frame encoder of a network."""
    pytest.importorskip("mediapipe", minversion="1")
    if "FEDN_FACE_LANDMARKER" not in os.environ:
        pytest.skip("FEDN_FACE_LANDMARKER does not name a face_landmarker.task")
    encoder = EncoderConfig(landmarker=os.environ["FEDN_FACE_LANDMARKER"]).build()
    crops = torch.from_numpy(np.stack([*moving_face(128, 3), np.full((128, 128, 3), 90, np.uint8)])).permute(0, 3, 1, 2)
    features = encoder(crops)
    assert features.shape == (4, encoder.feature_dim)
    points = features[:, :956].reshape(4, 478, 2)
    eyes = torch.stack([points[:, list(corners)].mean(dim=1) for corners in EYE_CORNERS], dim=1)
    expected = torch.from_numpy(canonical_eyes(1) - 0.5).float()
    assert (eyes[0] - expected).abs().max() < 0.04  # sides of the crop
    assert not features[3].any()
    assert torch.equal(copy.deepcopy(encoder)(crops), features)


@pytest.fixture
def fake_mediapipe(monkeypatch):
    """A stand-in for the Tasks API: a file that says `model` is one, and shows two faces."""

    def landmarks(x, width):
        points = [types.SimpleNamespace(x=x, y=0.5) for _ in range(478)]
        for point, dx, y in ((33, 0.2, 0.4), (133, 0.4, 0.4), (362, 0.6, 0.4), (263, 0.8, 0.4), (152, 1.0, 0.9)):
            points[point] = types.SimpleNamespace(x=x + dx * width, y=y)
        return points

    class FaceLandmarker:
        @staticmethod
        def create_from_options(options):
            if not options.base.content.startswith(b"model") and b"face_detector" not in options.base.content:
                raise RuntimeError("Unable to open zip archive.")
            return FaceLandmarker()

        def detect(self, image):
            assert image.data.shape == (100, 200, 3)
            shapes = [types.SimpleNamespace(score=k / 52) for k in range(52)]
            found = [landmarks(0.1, 0.2), landmarks(0.5, 0.4)]
            return types.SimpleNamespace(face_landmarks=found, face_blendshapes=[shapes, shapes])

        def close(self):
            pass

    package, tasks, vision = (types.ModuleType(name) for name in ("mediapipe", "tasks", "vision"))
    package.__version__ = "1.2.3"
    package.Image = lambda image_format, data: types.SimpleNamespace(data=data)
    package.ImageFormat = types.SimpleNamespace(SRGB=1)
    tasks.BaseOptions = lambda model_asset_buffer: types.SimpleNamespace(content=model_asset_buffer)
    vision.FaceLandmarkerOptions = lambda base, num_faces, output_face_blendshapes: types.SimpleNamespace(base=base)
    vision.FaceLandmarker = FaceLandmarker
    names = {"mediapipe": package, "mediapipe.tasks.python": tasks, "mediapipe.tasks.python.vision": vision}
    for name, module in names.items():
        monkeypatch.setitem(sys.modules, name, module)
    mesh._landmarker.cache_clear()
    yield
    mesh._landmarker.cache_clear()


def test_the_largest_face_of_the_landmarker_comes_first(fake_mediapipe, tmp_path):
    (tmp_path / "a.task").write_text("model")
    large, small = find_faces(np.zeros((100, 200), np.uint8), f"landmarker:{tmp_path / 'a.task'}")
    assert large.box[2] == pytest.approx(0.4 * 200)
    assert small.box[2] == pytest.approx(0.2 * 200)
    assert large.left == pytest.approx(((0.5 + 0.3 * 0.4) * 200 - 0.5, 0.4 * 100 - 0.5))
    assert large.right == pytest.approx(((0.5 + 0.7 * 0.4) * 200 - 0.5, 0.4 * 100 - 0.5))


def test_a_wrong_model_is_refused_before_any_video(fake_mediapipe, toy, tmp_path):
    (tmp_path / "a.task").write_text("no model")
    with pytest.raises(ConfigError, match=r"a\.task is no model of MediaPipe's face landmarker \(Unable to open zip"):
        prepare(toy, tmp_path / "store", jobs=0, finder=f"landmarker:{tmp_path / 'a.task'}")
    with pytest.raises(
        ConfigError, match=r"finder is 'landmarker:none\.task'; it must be cascade, mesh, landmarker:FILE"
    ):
        prepare(toy, tmp_path / "store", jobs=0, finder="landmarker:none.task")


def test_a_wrong_model_is_refused_by_mediapipe_itself(tmp_path):
    pytest.importorskip("mediapipe", minversion="1")
    (tmp_path / "a.task").write_text("no model")
    with pytest.raises(ConfigError, match=r"a\.task is no model of MediaPipe's face landmarker"):
        find_faces(np.zeros((100, 200), np.uint8), f"landmarker:{tmp_path / 'a.task'}")


def test_the_landmarker_says_what_it_needs(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "mediapipe", None)
    mesh._landmarker.cache_clear()
    (tmp_path / "a.task").write_text("model")
    with pytest.raises(ConfigError, match=r"a\.task needs mediapipe.*pip install 'fedn-lightning\[faces\]'"):
        find_faces(np.zeros((100, 200), np.uint8), f"landmarker:{tmp_path / 'a.task'}")


def test_an_old_mediapipe_is_told(fake_mediapipe, monkeypatch, tmp_path):
    monkeypatch.setattr(sys.modules["mediapipe"], "__version__", "0.10.21")
    (tmp_path / "a.task").write_text("model")
    with pytest.raises(ConfigError, match=r"needs mediapipe 1 or later; 0\.10\.21 is installed"):
        find_faces(np.zeros((100, 200), np.uint8), f"landmarker:{tmp_path / 'a.task'}")


def test_a_model_with_blendshapes_gives_them_too(fake_mediapipe, tmp_path):
    path = tmp_path / "face_landmarker.task"
    for name in ("face_detector.tflite", "face_blendshapes.tflite"):
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(name, "")
    encoder = EncoderConfig(landmarker=str(path)).build()
    features = encoder(torch.zeros(1, 3, 100, 200, dtype=torch.uint8))
    assert features.shape == (1, encoder.feature_dim) == (1, 956 + 52)
    assert features[0, 2 * 33 : 2 * 33 + 2].tolist() == pytest.approx([0.1 + 0.2 * 0.2 - 0.5, 0.4 - 0.5])
    assert features[0, 956:].tolist() == pytest.approx([k / 52 for k in range(52)])
    (tmp_path / "text.task").write_text("no model")
    with pytest.raises(CheckpointError, match=r"text\.task \(model\.encoder\.landmarker\) is no face_landmarker\.task"):
        EncoderConfig(landmarker=str(tmp_path / "text.task")).build()
    with pytest.raises(ConfigError, match=r"set model\.encoder\.frozen to true"):
        EncoderConfig(landmarker=str(path), frozen=False).build()
