"""Finds faces by mediapipe's landmarks: steadier and faster than the cascades, but an optional extra.

Of a current mediapipe it takes the face landmarker (extra `faces`), whose model is given by path. The older face mesh
needs no file.

mediapipe 0.10.21 is the last version whose package holds its models. It declares versions of numpy and protobuf that
the rest of this project has left behind; with protobuf 6.33 it still works:

    pip install --no-deps mediapipe==0.10.21 absl-py attrs flatbuffers "protobuf>=6.31,<6.34"
"""

from __future__ import annotations

import csv
import threading
from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fedn_lightning.errors import ConfigError, FaceNotFoundError
from fedn_lightning.utils.text import as_number
from fedn_lightning.video.alignment import Face

EYE_CORNERS = ((33, 133), (362, 263))
"""Mesh points at the two corners of the eye on the left of the picture, and of the one on its right."""

INSTALL = 'pip install --no-deps mediapipe==0.10.21 absl-py attrs flatbuffers "protobuf>=6.31,<6.34"'


def find_face_mesh(grey: npt.NDArray[np.uint8]) -> Face | None:
    """The face of a picture.

    Args:
        grey: `(H, W)` uint8.

    Returns:
        The face in the picture's own pixels, the eyes midway between their corners; None if there is none.

    Raises:
        ConfigError: if mediapipe is not installed or cannot run.
    """
    found = _mesh().process(np.repeat(grey[..., None], 3, axis=2)).multi_face_landmarks
    return _face(found[0].landmark, grey.shape) if found else None


LANDMARKER = "landmarker"
"""Kind of the finder `landmarker:FILE`."""

MAX_FACES = 8
"""Faces that the landmarker looks for in a picture."""


def kind_of(finder: str) -> str:
    """What a checkpoint says of a finder: its kind, and of the landmarker the file, which is needed again.

    >>> kind_of("openface:tables"), kind_of("landmarker:face_landmarker.task")
    ('openface', 'landmarker:face_landmarker.task')
    """
    kind = finder.partition(":")[0]
    return finder if kind == LANDMARKER else kind


def find_faces_landmarker(grey: npt.NDArray[np.uint8], path: str) -> list[Face]:
    """The faces of a picture by MediaPipe's face landmarker, the largest first.

    Args:
        grey: `(H, W)` uint8.
        path: the model, a `.task` file such as `face_landmarker.task`.

    Returns:
        Faces in the picture's own pixels, as of :func:`find_face_mesh`.

    Raises:
        ConfigError: if mediapipe is not installed, or the file is no such model.
    """
    found = _landmarker(path)(np.repeat(grey[..., None], 3, axis=2)).face_landmarks
    return sorted((_face(landmarks, grey.shape) for landmarks in found), key=lambda face: -face.box[2])


@cache
def _landmarker(path: str) -> Callable[[npt.NDArray[np.uint8]], Any]:
    """The landmarker of a file, loaded once in each process."""
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from None
    return open_landmarker(content, path, MAX_FACES)


def open_landmarker(
    content: bytes, source: str, faces: int, blendshapes: bool = False
) -> Callable[[npt.NDArray[np.uint8]], Any]:
    """Loads MediaPipe's face landmarker.

    Args:
        content: of the model file.
        source: its name, for messages.
        faces: how many it looks for.
        blendshapes: whether it gives blendshapes too; the model must have them.

    Returns:
        A function of an RGB picture `(H, W, 3)` uint8, which gives MediaPipe's `FaceLandmarkerResult`.

    Raises:
        ConfigError: if mediapipe is not installed, or the content is no such model.
    """
    try:
        # By name, so that type checkers need not know an optional package.
        mediapipe, tasks = import_module("mediapipe"), import_module("mediapipe.tasks.python")
        vision = import_module("mediapipe.tasks.python.vision")
    except (ImportError, OSError) as error:
        raise ConfigError(
            f"{source} needs mediapipe, which cannot run here ({error}). "
            "Install it by: pip install 'fedn-lightning[faces]'"
        ) from None
    if mediapipe.__version__.startswith("0."):
        raise ConfigError(
            f"{source} needs mediapipe 1 or later; {mediapipe.__version__} is installed. "
            "Install it by: pip install 'fedn-lightning[faces]'"
        )
    base = tasks.BaseOptions(model_asset_buffer=content)
    options = vision.FaceLandmarkerOptions(base, num_faces=faces, output_face_blendshapes=blendshapes)
    try:
        landmarker = vision.FaceLandmarker.create_from_options(options)
    except (RuntimeError, ValueError, OSError) as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
        raise ConfigError(f"{source} is no model of MediaPipe's face landmarker ({reason}).") from None
    # mediapipe 1 closes by a thread, and atexit comes after Python has stopped all threads: both print an error.
    threading._register_atexit(landmarker.close)  # type: ignore[attr-defined]

    def detect(picture: npt.NDArray[np.uint8]) -> Any:
        return landmarker.detect(mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=picture))

    return detect


def _face(landmarks: Sequence[Any], shape: tuple[int, ...]) -> Face:
    """The face of some landmarks, whose coordinates are shares of the picture's width and height."""
    height, width = shape
    # Relative coordinates count from the picture's edge, pixels from their centres.
    points = np.array([(p.x * width - 0.5, p.y * height - 0.5) for p in landmarks])
    left, right = (points[list(corners)].mean(axis=0) for corners in EYE_CORNERS)
    low, high = points.min(axis=0), points.max(axis=0)
    return Face((*low, *(high - low)), tuple(left), tuple(right), eyes_seen=True)


def check_installed(finder: str) -> None:
    """Refuses to start without mediapipe, or without the landmarker's model.

    Raises:
        ConfigError: saying what is missing.
    """
    kind, _, model = finder.partition(":")
    _landmarker(model) if kind == LANDMARKER else _mesh()


@cache
def _mesh() -> Any:
    """The network, made once in each process."""
    try:
        # By name, so that type checkers need not know an optional package.
        return import_module("mediapipe").solutions.face_mesh.FaceMesh(static_image_mode=True, max_num_faces=1)
    except (ImportError, AttributeError) as error:
        msg = f"finder: mesh needs mediapipe, which cannot run here ({error}). Install it by: {INSTALL}"
        raise ConfigError(msg) from None


EYES = (range(36, 42), range(42, 48))
"""Landmarks around the eye on the left of the picture, and around the one on its right."""

MIN_CONFIDENCE = 0.7
"""Rows of lower confidence are left out."""


def table_of(folder: str | Path, key: str) -> Path | None:
    """The table of a video, `<subject>/<video>.csv` or `<video>.csv` in `folder`; None if there is none."""
    candidates = (Path(folder) / f"{key}.csv", Path(folder) / f"{key.partition('/')[2]}.csv")
    return next((path for path in candidates if path.is_file()), None)


def read_eyes(path: str | Path, n_frames: int) -> npt.NDArray[np.float64]:
    """Eye centres in every frame.

    Args:
        path: a table with the columns `frame` (from 1), `confidence`, `x_0` ... `x_67`, `y_0` ... `y_67` (pixels).
        n_frames: frames of the video; frames without a sure row are interpolated.

    Returns:
        `(n_frames, 2, 2)` float64: x and y of the eye on the left of the picture, and of the one on its right.

    Raises:
        FaceNotFoundError: if the table cannot be read, or has no confident frame.
    """
    rows: dict[int, list[float]] = {}
    try:
        with Path(path).open(newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file, skipinitialspace=True)  # OpenFace puts a blank after each comma
            for row in table:
                if float(row["confidence"]) >= MIN_CONFIDENCE:
                    rows[int(float(row["frame"])) - 1] = _centres(row)
    except (OSError, UnicodeDecodeError, csv.Error, KeyError, TypeError, ValueError) as error:
        msg = f"{path} cannot be read as OpenFace's table of landmarks ({type(error).__name__}: {error})."
        raise FaceNotFoundError(msg) from None
    frames = np.array(sorted(frame for frame in rows if 0 <= frame < n_frames))
    if not len(frames):
        msg = f"{path}: OpenFace has no confident frame of the video (confidence {MIN_CONFIDENCE} or more)."
        raise FaceNotFoundError(msg)
    values = np.array([rows[frame] for frame in frames])
    columns = [np.interp(np.arange(n_frames), frames, column) for column in values.T]
    return np.stack(columns, axis=1).reshape(n_frames, 2, 2)


def _centres(row: dict[str, str]) -> list[float]:
    """X and y of both eyes' centres."""
    return [float(np.mean([float(row[f"{axis}_{i}"]) for i in eye])) for eye in EYES for axis in "xy"]


COLUMNS = ("video", "x", "y", "width", "height")


def read_boxes(path: str, keys: Sequence[str]) -> dict[str, tuple[float, float, float, float]]:
    """Reads a CSV table with the columns `video, x, y, width, height`, in source pixels.

    Args:
        path: the table.
        keys: keys of the corpus's videos; a `video` is one of them, or its part after the slash where that is unique.

    Returns:
        `(x, y, width, height)` by video key.

    Raises:
        ConfigError: naming the row, if the table or a row of it cannot be used.
    """
    try:
        with Path(path).open(newline="", encoding="utf-8-sig") as file:
            table = csv.DictReader(file)
            if not set(COLUMNS) <= set(table.fieldnames or []):
                raise ConfigError(f"{path} must have the columns {', '.join(COLUMNS)}.")
            return dict(_box(path, number, row, keys) for number, row in enumerate(table, start=2))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path} cannot be read as a CSV table: {error}.") from None


def _box(
    path: str, number: int, row: dict[str, str], keys: Sequence[str]
) -> tuple[str, tuple[float, float, float, float]]:
    """One row."""
    name = (row["video"] or "").strip()
    matches = [key for key in keys if name in (key, key.partition("/")[2])]
    if len(matches) != 1:
        msg = f"{path}, row {number}: {name!r} names {len(matches)} videos of the corpus; write subject/video."
        raise ConfigError(msg)
    x, y, width, height = (as_number(row[column]) for column in COLUMNS[1:])
    if x is None or y is None or width is None or height is None or min(width, height) <= 0:
        raise ConfigError(f"{path}, row {number}: x, y, width and height must be numbers, the last two above 0.")
    return matches[0], (x, y, width, height)
