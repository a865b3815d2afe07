"""Face crops of a video from a child process, which may hang or die at a bad file without harm."""

from __future__ import annotations

import contextlib
import os
import pickle
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import numpy.typing as npt

from fedn_lightning.errors import FednError, VideoError
from fedn_lightning.video.alignment import Box
from fedn_lightning.video.store import CropSpec
from fedn_lightning.video.timing import Timing

FaceChoice = Literal["largest", "all"] | int
"""Which faces: the largest, all, or the N-th from the left, counted from 1."""

WORKER = (sys.executable, "-m", "fedn_lightning.inference.decoding_worker")
"""A separate program: a child of multiprocessing would run the caller's script again, or fail in a notebook."""

AHEAD = 16
"""Messages (of 16 frames) the child may be ahead: it decodes while the network computes."""


class MiscountedError(VideoError):
    """A file's packets are not its frames, so its frames must be counted by decoding them all first."""


@dataclass(frozen=True)
class CropRequest:
    """What the child is to do."""

    path: str  # the video file
    spec: CropSpec  # how its faces are cropped
    face: FaceChoice = "largest"  # which of its faces
    fast: bool = True  # whether the file's timestamps may be trusted; else it is decoded once more to count its frames
    embedding: str | None = None  # ONNX network by which people are told apart after a cut; None for gradients
    threads: int = 1  # that decode large pictures


@dataclass(frozen=True)
class Scene:
    """What is known of a video before its first crop comes."""

    timing: Timing  # the video's frames and those of the crops
    start: float  # seconds at which the first frame is shown, on a clock that starts with the file's first stream
    height: int  # rows of a frame in pixels, after the file's rotation flag
    width: int  # columns
    # the faces in the video from left to right, source pixels; empty where whole pictures are taken
    boxes: tuple[Box, ...]
    chosen: tuple[int, ...]  # positions in `boxes` of the faces that are cropped; `(0,)` for whole pictures
    # for each of them `(1 or n_frames, 2, 3)` float64, source pixels to crop pixels
    transforms: tuple[npt.NDArray[np.float64], ...]
    passes: int  # how often the video is decoded
    ignored: tuple[str, ...] = ()  # the streams of the file that are not looked at, e.g. `stream 1: audio (aac)`.
    absent: tuple[tuple[tuple[int, int], ...], ...] = ()  # of each face, frames `[start, end)` without it, by shots
    notes: tuple[str, ...] = ()  # what is unsure, a sentence each


@dataclass(frozen=True)
class Crops:
    """Some consecutive crops: `(F, T, S, S, 3)` uint8 RGB of `F` faces, and the source frames they took."""

    crops: npt.NDArray[np.uint8]
    frames: int


@dataclass(frozen=True)
class Alive:
    """A sign of life."""


@dataclass(frozen=True)
class Done:
    """The end of a video, with the seconds spent in each phase."""

    seconds: dict[str, float]


@dataclass(frozen=True)
class Failed:
    """The end of the work: name of one of the project's errors, and its sentence."""

    kind: str
    message: str


class CropStream:
    """The crops of one video, made in a child process while the caller computes.

    Used as a context manager; iterate over it once. Memory is bounded by :data:`AHEAD`, whatever the video's length.

    Args:
        request: which video and faces.
        stall_seconds: a child that sends nothing for so long is stopped.
        worker: the child's command.

    Attributes:
        scene: what is known of the video; set on entering.
        seconds: the child's seconds by phase; set when all crops have come.
    """

    scene: Scene

    def __init__(self, request: CropRequest, stall_seconds: float = 120.0, worker: tuple[str, ...] = WORKER) -> None:
        self.request, self.stall_seconds, self.worker = request, stall_seconds, worker
        self.seconds: dict[str, float] = {}
        self._messages: queue.Queue[Any] = queue.Queue(AHEAD)
        self._heard = time.monotonic()
        self._closed = threading.Event()

    def __enter__(self) -> Self:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        self._child = subprocess.Popen(self.worker, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        try:
            self._ask()
            message = self._next()
            while isinstance(message, Alive):
                message = self._next()
            self.scene = message
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __iter__(self) -> Iterator[Crops]:
        while isinstance(message := self._next(), Crops | Alive):
            if isinstance(message, Crops):
                yield message
        self.seconds = message.seconds

    def close(self) -> None:
        """Ends the child."""
        self._closed.set()
        self._child.kill()
        self._child.wait()
        self._listener.join()
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                pipe.close()

    def _ask(self) -> None:
        assert self._child.stdin is not None
        try:
            pickle.dump(self.request, self._child.stdin)
            self._child.stdin.flush()
        except OSError:
            pass  # a child that is dead already is noticed when it is listened to

    def _listen(self) -> None:
        """Takes the child's messages off the pipe, which holds less than one."""
        message: Any = Alive()
        while not self._closed.is_set() and message is not None:
            try:
                message = pickle.load(self._child.stdout)  # type: ignore[arg-type] # stdout=PIPE
            except (EOFError, OSError, ValueError, pickle.UnpicklingError):
                message = None
            self._heard = time.monotonic()
            self._put(message)

    def _put(self, message: Any) -> None:
        placed = False
        while not placed and not self._closed.is_set():
            with contextlib.suppress(queue.Full):
                self._messages.put(message, timeout=0.5)
                placed = True

    def _next(self) -> Any:
        """The next message; errors of the child are raised here."""
        path = self.request.path
        while True:
            try:
                message = self._messages.get(timeout=0.5)
                break
            except queue.Empty:
                if time.monotonic() - self._heard > self.stall_seconds:
                    msg = f"{path}: the decoder made no progress for {self.stall_seconds:g} s and was stopped."
                    raise VideoError(msg) from None
        if message is None:
            raise VideoError(f"{path}: the decoder died (exit code {self._child.wait()}); the file may be damaged.")
        if isinstance(message, Failed):
            raise _error(message.kind)(message.message)
        return message


def _error(kind: str) -> type[FednError]:
    """One of the project's errors by its name."""
    known = (*FednError.__subclasses__(), *VideoError.__subclasses__())
    return next((error for error in known if error.__name__ == kind), VideoError)
