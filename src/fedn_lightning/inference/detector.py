"""Runs a checkpoint on videos."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Literal, Self

import numpy as np
import torch

from fedn_lightning.errors import ConfigError, VideoError
from fedn_lightning.events import FloatArray
from fedn_lightning.inference.baseline import Reference, with_baseline
from fedn_lightning.inference.config import DetectorConfig, load
from fedn_lightning.inference.decoding import CropRequest, CropStream, FaceChoice, MiscountedError, Scene
from fedn_lightning.inference.detections import Detections, FaceTrack
from fedn_lightning.inference.measures import (
    ABSENT,
    CropWatch,
    FaceQuality,
    UnreliableSpan,
    find_spans,
    without_unreliable,
)
from fedn_lightning.inference.streaming import Aside, FaceProposer, Networks
from fedn_lightning.metrics.functional.threshold import at_threshold
from fedn_lightning.models.postprocessing import postprocess
from fedn_lightning.motion.flow import one_thread
from fedn_lightning.utils import available_cores
from fedn_lightning.video.alignment import EYE_DISTANCE
from fedn_lightning.video.prepare import Align
from fedn_lightning.video.store import CropSpec
from fedn_lightning.video.timing import Timing
from fedn_lightning.weights import shipped

Device = Literal["auto", "cpu", "cuda"]
Tick = Callable[[int, int], None]
"""Called with the source frames done since the last call, and their total number."""


class Detector:
    """Finds facial expressions in videos, by a checkpoint of `fedn fit` alone.

    It gives what `fedn test` gives on the same video: the same crops, the same windows, the same thresholds.

    Args:
        config: settings of the checkpoint.
        networks: encoder and network.
        checkpoint: the file they come from.

    Attributes:
        decoding_threads: threads that decode a video; as many as there are cores, but for several videos at a time.

    >>> detections = Detector.from_checkpoint("best.ckpt").detect("video.mp4")  # doctest: +SKIP
    >>> print(detections)  # doctest: +SKIP
    """

    def __init__(self, config: DetectorConfig, networks: Networks, checkpoint: str) -> None:
        self.config, self.networks, self.checkpoint = config, networks, checkpoint
        self.decoding_threads = available_cores()

    @classmethod
    def from_checkpoint(
        cls,
        path: str | os.PathLike[str],
        device: Device = "auto",
        align: Align | None = None,
        threshold: tuple[float, float] | None = None,
        landmarker: str | None = None,
    ) -> Self:
        """Reads a checkpoint, e.g. `runs/synthetic/checkpoints/best.ckpt`.

        Args:
            path: the checkpoint.
            device: where the networks run; `auto` takes a GPU if there is one.
            align: how faces are aligned, `video`, `track` or `none`; as in training by default.
            threshold: scores from which a macro- and a micro-expression counts; by default those in the checkpoint,
                which were chosen on validation subjects of its corpus.
            landmarker: model of MediaPipe's face landmarker, which then places the faces.

        Raises:
            CheckpointError: if the checkpoint cannot be read or holds no detector.
            ConfigError: if `align` or `device` cannot be.
        """
        if device not in ("auto", "cpu", "cuda") or (device == "cuda" and not torch.cuda.is_available()):
            raise ConfigError(f"device is {device!r}; it must be auto, cpu, or cuda where there is a GPU.")
        name = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
        config, encoder, network = load(path, align, torch.device(name), landmarker)
        if threshold is not None:
            config = replace(config, threshold=threshold)
        return cls(config, Networks(config, encoder, network, torch.device(name)), str(path))

    @classmethod
    def pretrained(
        cls, device: Device = "auto", align: Align | None = None, threshold: tuple[float, float] | None = None
    ) -> Self:
        """The detector whose weights travel in the package; it has seen generated faces alone.

        `fedn_lightning/weights/README.md` is its model card. The arguments are those of :meth:`from_checkpoint`.

        Raises:
            CheckpointError: if the file is not the one that was published.
            ConfigError: if `align` or `device` cannot be.
        """
        return cls.from_checkpoint(shipped(), device, align, threshold)

    def detect(
        self,
        video: str | os.PathLike[str],
        face: FaceChoice = "largest",
        stall_seconds: float = 120.0,
        tick: Tick = lambda frames, total: None,
        embedding: str | None = None,
        baseline: Reference | None = None,
    ) -> Detections:
        """Finds the expressions of a video. A few hundred bytes are kept of each frame, and no picture.

        A file is decoded once; under `align: track` twice, since where a head rests is known at its end. A child
        process decodes, so that a damaged file can neither hang nor end this one.

        Args:
            video: a video file.
            face: `largest`, `all`, or the N-th face from the left, counted from 1.
            stall_seconds: a decoder that gets nothing done for so long is stopped.
            tick: called with progress.
            embedding: with `all`, ONNX file of a face recognition network that tells people apart after a cut.
            baseline: neutral stretch, in seconds or `auto`, to which motion and confidence are relative; see
                :func:`~fedn_lightning.inference.baseline.with_baseline`.

        Raises:
            VideoError: if the file cannot be decoded, is truncated, shows no face (:class:`FaceNotFoundError`), or has
                no such baseline.
            ConfigError: if `face` cannot be.
        """
        path = Path(video)
        if not path.is_file():
            msg = f"There is no video {path}." if not path.is_dir() else f"{path} is a folder; give a video file."
            raise VideoError(msg)
        request = CropRequest(str(path), self.config.crop, face, True, embedding, self.decoding_threads)
        try:
            found = self._detect(request, stall_seconds, tick)
        except MiscountedError:
            found = self._detect(replace(request, fast=False), stall_seconds, tick)
        return found if baseline is None else with_baseline(found, baseline)

    def _detect(self, request: CropRequest, stall_seconds: float, tick: Tick) -> Detections:
        self.networks.seconds = dict.fromkeys(self.networks.seconds, 0.0)
        with (
            CropStream(request, stall_seconds) as stream,
            ThreadPoolExecutor(1) as flow,
            ThreadPoolExecutor(1) as watching,
            one_thread(),  # of OpenCV in each of the two
        ):
            scene, timing = stream.scene, stream.scene.timing
            size = timing.n_stored, timing.stored_fps
            proposers = [FaceProposer(self.networks, *size, flow) for _ in scene.chosen]
            watches = [CropWatch(timing.stored_fps) for _ in scene.chosen]
            watched = [Aside(watching, watch.add) for watch in watches]
            for part in stream:
                for proposer, seen, crops in zip(proposers, watched, part.crops, strict=True):
                    seen.put(crops)
                    proposer.add(crops)
                tick(part.frames, timing.n_frames)
        for seen in watched:
            seen.results()  # raises what failed
        faces = [
            self._track(scene, position, proposer.proposals())
            for position, proposer in zip(scene.chosen, proposers, strict=True)
        ]
        quality = [
            watch.quality(_eye_distance(timing, transforms, self.config.crop))
            for watch, transforms in zip(watches, scene.transforms, strict=True)
        ]
        spans = [
            span
            for position, each in zip(scene.chosen, quality, strict=True)
            for span in self._unreliable(scene, position, each)
        ]
        dropped, faces = self._without_unreliable(faces, spans)
        return Detections(
            video=request.path,
            checkpoint=self.checkpoint,
            n_frames=timing.n_frames,
            fps=timing.fps,
            times=timing.times,
            emotions=self.config.emotions,
            threshold=self.config.threshold,
            n_faces=len(scene.boxes),
            faces=tuple(faces),
            squares=scene.transforms,
            crop_size=self.config.crop.crop_size,
            notes=self._notes(scene) + _reliability_notes(spans, dropped, timing.fps),
            unreliable=tuple(spans),
            quality=tuple(each.per_source_frame(timing) for each in quality),
            ignored=scene.ignored,
            generated_only=self.config.generated_only,
            start=scene.start,
            crop_fps=timing.stored_fps,
            measures=tuple(proposer.movement.measures() for proposer in proposers),
            seconds={**stream.seconds, **self.networks.seconds},
        )

    def _unreliable(self, scene: Scene, position: int, quality: FaceQuality) -> list[UnreliableSpan]:
        """The stretches of one face in which nothing may begin, in frames of the video."""
        to_source, fps = scene.timing.to_source, scene.timing.stored_fps
        away = scene.absent[position] if scene.absent else ()
        return [UnreliableSpan(position + 1, float(start), float(end), ABSENT) for start, end in away] + [
            UnreliableSpan(position + 1, float(to_source(start)), float(to_source(end)), reason)
            for start, end, reason in find_spans(quality.flags(fps), fps)
        ]

    def _without_unreliable(self, faces: list[FaceTrack], spans: list[UnreliableSpan]) -> tuple[int, list[FaceTrack]]:
        """How many expressions begin in an unreliable stretch, and the faces without them."""
        dropped, kept = 0, []
        for face in faces:
            mine = [span for span in spans if span.face == face.number]
            mask = without_unreliable(face.proposals, mine)
            dropped += len(at_threshold(face.proposals[~mask], self.config.threshold))
            kept.append(replace(face, proposals=face.proposals[mask]))
        return dropped, kept

    def _track(self, scene: Scene, position: int, proposals: FloatArray) -> FaceTrack:
        """The events of one face, in frames of the video."""
        events, curve = postprocess(proposals, scene.timing, self.config.inference, self.config.window)
        return FaceTrack(position + 1, scene.boxes[position] if scene.boxes else None, events, curve)

    def _notes(self, scene: Scene) -> tuple[str, ...]:
        """Notes about the result."""
        notes = [*self.config.notes, *scene.notes]
        if scene.start:
            notes.append(
                f"The first picture is shown {scene.start:.3f} s after the sound starts; times count from the sound."
            )
        others = [stream for stream in scene.ignored if "video" in stream]
        if others:
            notes.append(f"The file holds more than one picture; not looked at: {', '.join(others)}.")
        if len(scene.boxes) > len(scene.chosen):
            taken = ", ".join(str(position + 1) for position in scene.chosen)
            notes.append(f"{len(scene.boxes)} faces are seen; looked at was face {taken} from the left.")
        return tuple(notes)


def _eye_distance(timing: Timing, transforms: FloatArray, crop: CropSpec) -> FloatArray:
    """`(n_stored,)`, source pixels between the eyes in each crop; nan where whole pictures are taken."""
    if crop.align == "none":
        return np.full(timing.n_stored, np.nan)
    middle = timing.to_source(np.arange(timing.n_stored) + 0.5).astype(np.int64)
    distance = EYE_DISTANCE * crop.crop_size / np.hypot(transforms[:, 0, 0], transforms[:, 1, 0])
    return np.asarray(distance[np.clip(middle, 0, len(transforms) - 1)], np.float64)


def _reliability_notes(spans: list[UnreliableSpan], dropped: int, fps: float) -> tuple[str, ...]:
    """What is said of the unreliable stretches, if there are any."""
    if not spans:
        return ()
    seconds = sum(span.end - span.start for span in spans) / fps
    reasons = ", ".join(sorted({span.reason for span in spans}))
    return (
        f"{seconds:.1f} s are unreliable ({reasons}); no expression may begin there, and {dropped} that did were left "
        "out.",
    )
