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
from fedn_lightning.inference.shots import (
    GRADIENTS,
    CastTracker,
    ShotWatch,
    choose,
    find_people,
    join,
    network_likeness,
    place,
)
from fedn_lightning.utils.workers import Tick
from fedn_lightning.video.alignment import Box
from fedn_lightning.video.crops import Clock, CropJob, FaceScan, decode_crops, plan_crop, scan_face, scan_face_fast
from fedn_lightning.video.faces import SMALL_FACES, check_upright
from fedn_lightning.video.media import ignored_streams, probe
from fedn_lightning.video.timing import Timing, frame_plan, stored_fps

Send = Callable[[Any], None]

SMALL_PICTURE = 500_000
"""Pixels of a picture up to which one thread decodes: it is faster than the network, whose cores more would take."""


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
    job = CropJob(video, "", request.spec, threads=1 if header.pixels <= SMALL_PICTURE else request.threads)
    tick(0)
    if request.face == "all" and request.spec.align != "none":
        face_scan, cast = _find_everybody(request, job, clock, tick)
    else:
        face_scan, cast = _find_some(request, job, clock, tick)
    n, fps, times = face_scan.n_frames, face_scan.fps, face_scan.times
    crop_fps = stored_fps(fps, request.spec.fps, variable=times is not None)
    timing = Timing(n, fps, times, crop_fps, len(frame_plan(n, fps, crop_fps, times)))
    ignored = ignored_streams(request.path)
    scene = Scene(timing, face_scan.start, face_scan.height, face_scan.width, ignored=ignored, **cast)
    return replace(face_scan, pictures=[], tracker=None), scene


def _find_some(request: CropRequest, job: CropJob, clock: Clock, tick: Tick) -> tuple[FaceScan, dict[str, Any]]:
    """The people who are wanted, where everybody keeps their place; fields of the scene."""
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
    return face_scan, {"boxes": tuple(boxes), "chosen": chosen, "transforms": tuple(transforms), "passes": passes}


def _find_everybody(request: CropRequest, job: CropJob, clock: Clock, tick: Tick) -> tuple[FaceScan, dict[str, Any]]:
    """All people, kept apart over cuts; fields of the scene."""
    likeness = GRADIENTS if request.embedding is None else network_likeness(request.embedding)
    watch, still = ShotWatch(request.spec.finder, likeness), replace(job, spec=replace(job.spec, align="video"))
    face_scan, passes = scan_face(still, clock, tick, watch.add), 2
    shots = watch.end(face_scan.n_frames)
    check_upright(face_scan.pictures, len(face_scan.pictures) if any(shots) else 0, request.path)
    if not any(shots):
        raise _nobody(request, face_scan)
    fps, size = face_scan.fps, request.spec.crop_size
    seconds = np.arange(face_scan.n_frames) / fps if face_scan.times is None else face_scan.times
    people, notes = join(shots, likeness, lambda frame: face_scan.start + float(seconds[frame]))
    follows = None
    if request.spec.align == "track":
        follows = CastTracker(people, request.spec.finder, fps)
        scan_face(still, clock, tick, follows.add)
        passes += 1
    transforms, absent = [], []
    for number, person in enumerate(people):
        trackers = None if follows is None else follows.trackers[number]
        placed, missing, said = place(person, number + 1, face_scan.n_frames, size, fps, trackers)
        stays = follows is None and bool((placed == placed[0]).all())
        transforms.append(placed[:1] if stays else placed)
        absent.append(missing)
        notes += said
    boxes = tuple(tuple(map(float, person.appearances[0].face.box)) for person in people)
    return face_scan, {
        "boxes": boxes,
        "chosen": tuple(range(len(people))),
        "transforms": tuple(transforms),
        "passes": passes,
        "absent": tuple(absent),
        "notes": tuple(notes),
    }


def _people(request: CropRequest, face_scan: FaceScan) -> tuple[list[Box], tuple[int, ...]]:
    """The people in the video and which of them are wanted."""
    if request.spec.align == "none":
        if request.face not in ("largest", 1):
            msg = f"face is {request.face!r}, but this checkpoint takes whole pictures (align: none); leave it out."
            raise ConfigError(msg)
        return [], (0,)
    faces = face_scan.faces(request.spec.finder)
    check_upright(face_scan.pictures, sum(map(bool, faces)), request.path)
    boxes = find_people(faces)
    if not boxes:
        raise _nobody(request, face_scan)
    return boxes, choose(boxes, request.face, request.path)


def _nobody(request: CropRequest, face_scan: FaceScan) -> FaceNotFoundError:
    shown = ", ".join(str(number) for number in face_scan.numbers)
    return FaceNotFoundError(f"{request.path}: no face was found in the frames looked at ({shown}). {SMALL_FACES}")


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
