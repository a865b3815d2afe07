"""Writes moments of generated people, to see what an encoder makes of motion: quiet frames, onset and apex."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from fedn_lightning.errors import ConfigError
from fedn_lightning.events import ExpressionType
from fedn_lightning.utils.files import write_atomically
from fedn_synth.face.identity import Identity
from fedn_synth.face.muscles import EMOTION_UNITS
from fedn_synth.face.tracks import FaceTracks
from fedn_synth.plan import distractors
from fedn_synth.plan import presets as seeds
from fedn_synth.plan.corpus_plan import PlannedExpression
from fedn_synth.plan.distractors import ORDINARY
from fedn_synth.plan.expressions import TimedExpression, draw_expression, draw_length
from fedn_synth.plan.presets import Draw
from fedn_synth.renderers import Faces, Renderer, check_faces, make_renderer
from fedn_synth.write.stills import draw_crop

EMOTIONS: Final = tuple(emotion for emotion in EMOTION_UNITS if emotion != "others")
TYPES: Final[tuple[ExpressionType, ...]] = ("micro", "macro")
QUIET: Final = 40
"""Frames without an expression before each onset."""


@dataclass(frozen=True, slots=True)
class MomentsJob:
    """What to write.

    Attributes:
        seed: not negative.
        identities: number of people; they occur in no corpus and on no stills.
        size: side of the square crops in px.
        faces: kind of the faces.
    """

    seed: int = 0
    identities: int = 20
    size: int = 128
    faces: Faces = "2d"

    @property
    def people(self) -> int:
        """Namespace of the people."""
        return seeds.MOMENTS + seeds.SOLID * (self.faces == "3d")


def write_moments(out: Path, job: MomentsJob) -> int:
    """Writes the file and returns how many expressions it holds.

    The `.npz` holds `frames` `(N, 4, S, S, 3)` uint8: two quiet frames, as many frames apart as onset and apex, then
    onset and apex; `emotion`, `type` and `person` `(N,)`; and `faces`.

    Args:
        out: file to write; a file that is there is replaced.
        job: what to write.

    Raises:
        ConfigError: if the file's name or a number of the job cannot work, or the faces cannot be rendered.
    """
    if out.suffix != ".npz":
        msg = f"--out {out} must end in .npz."
        raise ConfigError(msg)
    if job.seed < 0 or job.identities < 2 or job.size < 32:
        msg = f"--seed must be at least 0, --identities 2 and --size 32, got {job.seed}, {job.identities}, {job.size}."
        raise ConfigError(msg)
    check_faces(job.faces, 0, ORDINARY)
    frames: list[npt.NDArray[np.uint8]] = []
    labels: list[tuple[str, str, int]] = []
    for person in range(job.identities):
        renderer = make_renderer(job.faces, Identity.sample(seeds.identity_seed(job.people, job.seed, person)))
        rng = seeds.stream(seeds.MOMENTS, job.seed, Draw.STILLS_PLAN, person)
        for kind in TYPES:
            for emotion in EMOTIONS:
                frames.append(_film(renderer, kind, emotion, job.size, rng))
                labels.append((emotion, kind, person))
    emotions, types, people = zip(*labels, strict=True)
    columns: dict[str, Any] = {"emotion": np.array(emotions), "type": np.array(types), "person": np.array(people)}
    columns |= {"frames": np.stack(frames), "faces": np.array(job.faces)}
    write_atomically(out, lambda path: np.savez_compressed(path, **columns))
    return len(frames)


def _film(
    renderer: Renderer, kind: ExpressionType, emotion: str, size: int, rng: np.random.Generator
) -> npt.NDArray[np.uint8]:
    """The four frames of one expression, `(4, size, size, 3)`."""
    planned = PlannedExpression(kind, emotion, expert="", self_report="")
    timed = draw_expression(planned, QUIET, draw_length(planned, rng), 0.5, rng)
    tracks = _draw_tracks(timed, rng)
    transform = draw_crop(renderer.landmarks(tracks, 0), size, rng)
    gap = min(timed.apex - timed.start, QUIET - 12)
    times = (5, 5 + gap, timed.start, timed.apex)
    noise = rng.integers(0, 2**31, len(times)).tolist()
    shown = zip(times, noise, strict=True)
    return np.stack([renderer.render_crop(tracks, frame, seed, size, transform) for frame, seed in shown])


def _draw_tracks(timed: TimedExpression, rng: np.random.Generator) -> FaceTracks:
    """An expression with the head's sway, gaze and light, without blinks, speech and swallowing."""
    n = timed.end + 1
    tracks = FaceTracks.neutral(n)
    tracks.action_units[:] = timed.intensities(n, -timed.start)
    tracks.gaze[:] = distractors.gaze_shifts(n, ORDINARY.rate, rng)[0]
    tracks.pose[:] = distractors.head(n, ORDINARY, rng)[0]
    tracks.light[:] = distractors.light(n, ORDINARY, rng)
    return tracks
