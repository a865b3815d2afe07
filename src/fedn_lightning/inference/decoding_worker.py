"""The child process that decodes a video and crops its faces; run by :mod:`fedn_lightning.inference.decoding`."""

from __future__ import annotations

import os
import pickle
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import cv2
import numpy as np

from fedn_lightning.errors import ConfigError, FaceNotFoundError, FednError
from fedn_lightning.events import Video
from fedn_lightning.inference.decoding import Alive, CropRequest, Crops, Done, Failed, MiscountedError, Scene
from fedn_lightning.inference.people import choose, find_people
from fedn_lightning.video.alignment import Box
from fedn_lightning.video.crops import Clock, CropJob, FaceScan, decode_crops, plan_crop, scan_face, scan_face_fast
from fedn_lightning.video.faces import SMALL_FACES, check_upright, find_faces
from fedn_lightning.video.media import ignored_streams, probe
from fedn_lightning.video.timing import Timing, frame_plan, stored_fps
from fedn_lightning.video.workers import Tick

Send = Callable[[Any], None]


def stream(request: CropRequest, send: Send) -> None:
    """Sends a video's scene, then its crops from the first to the last, then the end.

    The crops are those that `fedn data prepare` would write: the same functions find and place the face.

    Raises:
        VideoError: if the video cannot be decoded, or shows no face.
        ConfigError: if `request.face` cannot be.
        MiscountedError: if the number of frames differs from that of the timestamps.
    """
    clock = Clock()
    face_scan, scene = find_scene(request, clock, lambda frames: send(Alive()))
    plan = frame_plan(face_scan.n_frames, face_scan.fps, scene.timing.stored_fps, face_scan.times)
    shown = np.bincount(plan, minlength=face_scan.n_frames)
    send(scene)
    number = 0
    for crops, frames in decode_crops(face_scan, shown, scene.transforms, request.spec.crop_size, clock):
        number += frames
        if number > face_scan.n_frames:
            break
        started = time.perf_counter()
        send(Crops(crops, frames))
        clock.add("wait", started)
    if number != face_scan.n_frames:
        raise MiscountedError(f"{request.path} has not the {face_scan.n_frames} frames that its timestamps tell.")
    send(Done(clock.seconds))


def find_scene(request: CropRequest, clock: Clock, tick: Tick) -> tuple[FaceScan, Scene]:
    """Finds what is needed before the first crop: frames, times, people, and the places of their crops."""
    header = probe(request.path)
    video = Video("", "", request.path, request.path, header.fps)
    job = CropJob(video, "", request.spec)
    tick(0)
    fast = clock.time("skim", lambda: scan_face_fast(job)) if request.fast else None
    face_scan, passes = fast or scan_face(job, clock, tick), 1 if fast else 2
    started = time.perf_counter()
    boxes, chosen = _people(request, face_scan)
    clock.add("face", started)
    transforms = []
    for person in chosen:
        mine = replace(job, near=boxes[person] if len(boxes) > 1 else None)
        if request.spec.align == "track" and (face_scan.tracker is None or mine.near is not None):
            # The resting position of a head is known only after all its movement was seen: this takes another pass.
            face_scan, passes = scan_face(mine, clock, tick), passes + 1
        transforms.append(plan_crop(mine, face_scan, clock).transforms)
    n, fps, times = face_scan.n_frames, face_scan.fps, face_scan.times
    crop_fps = stored_fps(fps, request.spec.fps, variable=times is not None)
    timing = Timing(n, fps, times, crop_fps, len(frame_plan(n, fps, crop_fps, times)))
    size = face_scan.height, face_scan.width
    scene = Scene(
        timing, face_scan.start, *size, tuple(boxes), chosen, tuple(transforms), passes, ignored_streams(request.path)
    )
    return replace(face_scan, pictures=[], tracker=None), scene


def _people(request: CropRequest, face_scan: FaceScan) -> tuple[list[Box], tuple[int, ...]]:
    """The people in the video and which of them are wanted."""
    if request.spec.align == "none":
        if request.face not in ("largest", 1):
            msg = f"face is {request.face!r}, but this checkpoint takes whole pictures (align: none); leave it out."
            raise ConfigError(msg)
        return [], (0,)
    faces = [find_faces(picture, request.spec.finder) for picture in face_scan.pictures]
    check_upright(face_scan.pictures, sum(map(bool, faces)), request.path)
    boxes = find_people(faces)
    if not boxes:
        shown = ", ".join(str(number) for number in face_scan.numbers)
        raise FaceNotFoundError(f"{request.path}: no face was found in the frames looked at ({shown}). {SMALL_FACES}")
    return boxes, choose(boxes, request.face, request.path)


def main() -> int:
    """Answers one request on the standard input by messages on the standard output.

    Returns:
        0, also after a failure that was reported.
    """
    # What native code prints would stand between the messages.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    cv2.setNumThreads(1)

    def send(message: Any) -> None:
        pickle.dump(message, answers, pickle.HIGHEST_PROTOCOL)
        answers.flush()

    request: CropRequest = pickle.load(sys.stdin.buffer)
    try:
        try:
            stream(request, send)
        except FednError as error:
            send(Failed(type(error).__name__, str(error)))
        except (ValueError, RuntimeError, OSError, cv2.error) as error:
            if isinstance(error, BrokenPipeError):
                raise
            send(Failed("VideoError", f"{request.path} cannot be read: {error}."))
    except BrokenPipeError:
        return 0  # the parent has gone
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
