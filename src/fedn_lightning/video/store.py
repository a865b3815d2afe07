"""The clip store: one memory-mapped array of face crops per video, and beside it the record of how it was made.

On request (`frames="video"`) it holds only where the crops lie, and they are decoded from the video when read.

A video's record is written last and in one step, so a video is in the store whole or not at all; a kill at any moment
leaves no half video that could be trained on.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import cv2
import numpy as np
import numpy.typing as npt

from fedn_lightning.errors import StoreError
from fedn_lightning.events import FloatArray
from fedn_lightning.utils.files import StoredArray, unmap_all
from fedn_lightning.video.media import Frames
from fedn_lightning.video.readers import DecodedCrops, open_video
from fedn_lightning.video.timing import Timing, frame_plan, unbroken

FORMAT = 3
"""Version of the record; a store of another version is built again."""

HEADER_BYTES = 128
"""Length of a .npy header for any number of frames: numpy pads it so that the count may be corrected later."""

_PRINT_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class CropSpec:
    """How frames become crops: what must be equal for a stored video to be used again."""

    crop_size: int = 128  # side of the square crop in pixels
    fps: float = 30.0  # working frame rate; a source within 0.5 % of it is not resampled
    # `video` (one transform per video), `track` (following slow head motion) or `none` (the whole picture, for releases
    # that are already cropped)
    align: str = "video"
    # what replaces missing numbers of a frame folder: `repeat` the frame before, `split` likewise but no window
    # contains it, or `error`
    gaps: str = "repeat"
    # what finds the face: `cascade`, `mesh`, `landmarker:FILE`, or `openface:` and the digest of its table
    finder: str = "cascade"
    # the face's `x, y, width, height` in source pixels if it was given by hand
    box: tuple[float, float, float, float] | None = None
    # `store` holds the crops; `video` holds where they lie, and they are decoded when they are read
    frames: str = "store"


@dataclass(frozen=True)
class StoredVideo:
    """A video in the store. Reading `frames[a:b]` maps the pages of that window and nothing else."""

    key: str  # the video's key in its corpus
    path: str  # the .npy file: the crops, or under `frames="video"` their transforms, `(1 or source_n_frames, 2, 3)`
    fps: float  # frames per second of the store
    n_frames: int  # number of stored frames
    source_path: str  # file or folder it was made from
    source_fps: float  # frames per second of the source
    source_n_frames: int  # number of frames decoded from the source
    # `(2, 3)` float64, source pixels to crop pixels; the median one under `align="track"`
    transform: npt.NDArray[np.float64]
    spec: CropSpec  # how it was made
    record: dict[str, Any]  # the whole record

    @cached_property
    def frames(self) -> StoredArray | DecodedCrops:
        """`(n_frames, S, S, 3)` uint8 RGB: mapped read-only, or decoded from the source, when indexed.

        Raises:
            VideoError: if it is to be decoded from a source that is not there.
        """
        if self.spec.frames == "store":
            return StoredArray(self.path)
        source = open_video(self.source_path, self.source_fps, self.record["reader"])
        return DecodedCrops(source, self._plan, np.load(self.path), self.spec.crop_size)

    @cached_property
    def parts(self) -> list[tuple[int, int]]:
        """Stretches `[first, stop)` of stored frames that windows lie in: the whole video, or between its gaps."""
        if self.spec.gaps != "split":
            return [(0, self.n_frames)]
        return unbroken(self._plan, self.record["missing"])

    @property
    def _plan(self) -> npt.NDArray[np.int64]:
        return frame_plan(self.source_n_frames, self.source_fps, self.fps, self.timing.times)

    @cached_property
    def timing(self) -> Timing:
        """The frames of the source and those of the store."""
        times = self.record["source_times"]
        uneven = None if times is None else np.asarray(times, np.float64)
        return Timing(self.source_n_frames, self.source_fps, uneven, self.fps, self.n_frames)

    def close(self) -> None:
        """Unmaps the crops until they are read again; mapped pages count as memory of the process, 88 MB a minute."""
        self.__dict__.pop("frames", None)
        unmap_all()

    def __getstate__(self) -> dict[str, Any]:
        # A pickled memory map would copy the whole video to the worker.
        return {name: value for name, value in self.__dict__.items() if name != "frames"}

    def source_to_store(self, frame: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Source frame positions (interval ends) -> stored frame positions, both 0-based and fractional."""
        return self.timing.to_store(frame)

    def store_to_source(self, frame: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Inverts :meth:`source_to_store`."""
        return self.timing.to_source(frame)

    @classmethod
    def from_record(cls, record: dict[str, Any], folder: Path) -> Self:
        """Makes it from a record; the array's name in the record is relative to `folder`."""
        return cls(
            key=record["key"],
            path=str(folder / record["array"]),
            fps=record["fps"],
            n_frames=record["n_frames"],
            source_path=record["source"]["path"],
            source_fps=record["source_fps"],
            source_n_frames=record["source_n_frames"],
            transform=np.asarray(record["transform"], np.float64),
            spec=_spec(record["spec"]),
            record=record,
        )


class ClipStore:
    """The prepared videos of a corpus.

    Raises:
        StoreError: if there is no store.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        if not self.root.is_dir():
            raise StoreError(f"There is no clip store in {self.root.absolute()}. fedn data prepare writes one.")
        found = (read_record(path) for path in sorted(self.root.glob("*.json")))
        self._videos = {r["key"]: StoredVideo.from_record(r, self.root) for r in found if r}

    def __contains__(self, key: str) -> bool:
        return key in self._videos

    def __len__(self) -> int:
        return len(self._videos)

    def __iter__(self) -> Iterator[StoredVideo]:
        return iter(self._videos.values())

    def video(self, key: str) -> StoredVideo:
        """A stored video by the key it has in its corpus.

        Raises:
            StoreError: if it is not in the store, or its array is not as long as it should be.
        """
        if key not in self._videos:
            raise StoreError(
                f"{key} is not in the clip store {self.root}. Run fedn data prepare; it reports why a video is missing."
            )
        video = self._videos[key]
        if not is_whole(video):
            msg = f"{video.path} of {key} is truncated or of another size. Run fedn data prepare to build it again."
            if video.spec.frames == "video" and not Path(video.source_path).exists():
                msg = f"{video.source_path} of {key}, which its windows are decoded from, is missing."
            raise StoreError(msg)
        return video

    def missing(self, keys: Iterable[str]) -> tuple[str, ...]:
        """Those of `keys` that are not in the store."""
        return tuple(key for key in keys if key not in self._videos)


def file_name(key: str) -> str:
    """A safe and unique file name, without suffix, for a video's key.

    >>> file_name("s15/15_0101disgustingteeth")
    's15_15_0101disgustingteeth-b3acf6f5'
    """
    # Keys hold what users call their files: spaces, dots, slashes, any alphabet. The digest keeps them apart.
    safe = re.sub(r"[^A-Za-z0-9_-]+", "_", key)[:80].strip("_")
    return f"{safe}-{hashlib.sha256(key.encode()).hexdigest()[:8]}"


def fingerprint(path: str | Path) -> dict[str, Any]:
    """What identifies a source: its path, size, time of change, and a digest of its first and last mebibyte.

    A folder is digested by the names and sizes of its files. Whole files are not: a corpus holds up to 100 GB.
    """
    path = Path(path)
    digest = hashlib.sha256()
    if path.is_dir():
        with os.scandir(path) as entries:
            files = sorted((e.name, e.stat().st_size, e.stat().st_mtime_ns) for e in entries if e.is_file())
        for name, size, _ in files:
            digest.update(f"{name}\0{size}\0".encode())
        return _print(path, sum(f[1] for f in files), max((f[2] for f in files), default=0), digest.hexdigest())
    state = path.stat()
    with path.open("rb") as file:
        digest.update(file.read(_PRINT_BYTES))
        file.seek(max(0, state.st_size - _PRINT_BYTES))
        digest.update(file.read(_PRINT_BYTES))
    return _print(path, state.st_size, state.st_mtime_ns, digest.hexdigest())


def _print(path: Path, size: int, modified: int, digest: str) -> dict[str, Any]:
    return {"path": str(path), "bytes": size, "modified_ns": modified, "sha256_ends": digest}


def is_current(video: StoredVideo, spec: CropSpec, source: dict[str, Any]) -> bool:
    """Whether a stored video is whole, made as `spec` asks, and from the source as it is now.

    A source that was only moved or touched is the same source, unless windows are decoded from it where it lies.
    """
    parts = ("bytes", "sha256_ends") if spec.frames == "store" else ("bytes", "sha256_ends", "path")
    same = all(video.record["source"][part] == source[part] for part in parts)
    return same and video.spec == spec and is_whole(video)


def is_whole(video: StoredVideo) -> bool:
    """Whether the array has the length its record says; under `frames="video"`, whether array and source are there."""
    path, size = Path(video.path), video.spec.crop_size
    if video.spec.frames == "video":
        return path.is_file() and Path(video.source_path).exists()
    return path.is_file() and path.stat().st_size == HEADER_BYTES + video.n_frames * size * size * 3


def checksum(path: str | Path) -> int:
    """CRC-32 of a stored array's pixels, to find damage that its length does not show."""
    crc = 0
    with Path(path).open("rb") as file:
        file.seek(HEADER_BYTES)
        while chunk := file.read(_PRINT_BYTES):
            crc = zlib.crc32(chunk, crc)
    return crc


def content(video: StoredVideo) -> str:
    """What identifies a video's pixels: their checksum, number and size."""
    return f"{video.record['crc32']:08x}-{video.n_frames}-{video.spec.crop_size}"


class ArrayWriter:
    """Writes a video's crops under a temporary name; :meth:`commit` puts array and record in place.

    Plain writes, not a memory map: on a full disk a memory map kills the process instead of raising.

    Args:
        root: the store's folder.
        key: the video's key.
        size: side of the crops in pixels.
    """

    def __init__(self, root: Path, key: str, size: int) -> None:
        self.array, self.record = root / f"{file_name(key)}.npy", root / f"{file_name(key)}.json"
        self.size, self.n_frames, self.crc = size, 0, 0
        self._part = self.array.with_suffix(f".{os.getpid()}.part")

    def __enter__(self) -> Self:
        self._file = self._part.open("wb")
        self._header()
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        self._part.unlink(missing_ok=True)

    def write(self, crops: Frames) -> None:
        """Appends `(T, S, S, 3)` uint8."""
        data = np.ascontiguousarray(crops, np.uint8)
        self._file.write(data.data)
        self.crc = zlib.crc32(data.data, self.crc)
        self.n_frames += len(data)

    def commit(self, record: dict[str, Any]) -> None:
        """Puts the array and then its record in place."""
        self._file.seek(0)
        self._header()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._part.replace(self.array)
        _put(self.record, {**record, "array": self.array.name, "n_frames": self.n_frames, "crc32": self.crc})

    def _header(self) -> None:
        shape = (self.n_frames, self.size, self.size, 3)
        np.lib.format.write_array_header_1_0(self._file, {"descr": "|u1", "fortran_order": False, "shape": shape})


def write_link(root: Path, record: dict[str, Any], transforms: npt.NDArray[np.float64], n_frames: int) -> None:
    """Puts a video in the store whose crops are decoded from its source when they are read.

    Args:
        root: the store's folder.
        record: how it was made.
        transforms: `(1, 2, 3)` float64 for the whole video or `(source_n_frames, 2, 3)`, source to crop pixels.
        n_frames: number of crops.
    """
    name, source = file_name(record["key"]), record["source"]
    array, part = root / f"{name}.npy", root / f"{name}.{os.getpid()}.part"
    with part.open("wb") as file:
        np.save(file, transforms)
    part.replace(array)
    # Of what the crops are made from: they themselves are not known here.
    crc = zlib.crc32(transforms.tobytes(), zlib.crc32(f"{source['bytes']} {source['sha256_ends']}".encode()))
    _put(root / f"{name}.json", {**record, "array": array.name, "n_frames": n_frames, "crc32": crc})


def _put(path: Path, record: dict[str, Any]) -> None:
    """Writes a record in one step."""
    part = path.with_suffix(f".{os.getpid()}.part")
    part.write_text(json.dumps({**record, "format": FORMAT}, indent=1), encoding="utf-8")
    part.replace(path)


def read_record(path: Path) -> dict[str, Any] | None:
    """A record; None if it is not one of this version."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) and record.get("format") == FORMAT else None


def _spec(values: dict[str, Any]) -> CropSpec:
    """A spec from a record, where JSON has made a list of the box."""
    return CropSpec(**{**values, "box": tuple(values["box"]) if values["box"] else None})


def spec_record(spec: CropSpec) -> dict[str, Any]:
    """A spec as plain values for a record."""
    return asdict(spec)


Image = npt.NDArray[np.uint8]

SIDE = 112
"""Pixels of a crop in a strip."""
GAP = 4
"""Pixels between two crops."""


def key_frames(start: float, end: float, apex: float | None = None, curve: FloatArray | None = None) -> list[float]:
    """The source frames of onset, apex and offset of a half-open interval.

    Args:
        start: first frame, 0-based.
        end: one past the last frame.
        apex: annotated frame of maximum intensity, if it is known.
        curve: `(n_frames,)` confidence; without an annotated apex its peak inside the interval stands for it, and
            without both the middle.

    >>> key_frames(10, 20), key_frames(10, 20, curve=np.eye(30)[13])
    ([10.0, 14.5, 19.0], [10.0, 13.0, 19.0])
    """
    last = max(end - 1, start)
    if apex is None:
        inside = np.arange(int(np.ceil(start)), int(last) + 1)
        known = curve is not None and len(inside) and inside[-1] < len(curve) and np.ptp(curve[inside]) > 0
        apex = float(inside[np.argmax(curve[inside])]) if curve is not None and known else (start + last) / 2
    return [float(start), float(apex), float(last)]


def cut_crops(stored: StoredVideo, frames: Sequence[float]) -> list[Image]:
    """The stored crops `(S, S, 3)` RGB nearest to some source frames, 0-based.

    Raises:
        VideoError: if the store only says where the crops lie, and the video is not there.
    """
    place = np.clip(np.rint(stored.source_to_store(np.asarray(frames, np.float64))), 0, stored.n_frames - 1)
    return [np.array(stored.frames[index : index + 1])[0] for index in place.astype(np.int64).tolist()]


def join_crops(crops: Sequence[Image], side: int = SIDE) -> Image:
    """Lays crops side by side on white, `(side, N side + (N - 1) GAP, 3)`."""
    strip = np.full((side, len(crops) * side + (len(crops) - 1) * GAP, 3), 255, np.uint8)
    for index, crop in enumerate(crops):
        left = index * (side + GAP)
        strip[:, left : left + side] = cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA)
    return strip
