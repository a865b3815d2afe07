"""Writes generated people who are in no corpus: stills in AffectNet's layout, and moments of expressions."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from fedn_lightning.errors import ConfigError
from fedn_lightning.events import ExpressionType
from fedn_lightning.utils.files import write_atomically
from fedn_lightning.video.alignment import Transform, eye_transform
from fedn_synth import Faces
from fedn_synth.face.anatomy import LANDMARK_INDEX
from fedn_synth.face.identity import Identity
from fedn_synth.face.motion import FaceTracks
from fedn_synth.face.muscles import AU_INDEX, EMOTION_UNITS
from fedn_synth.plan import distractors
from fedn_synth.plan.corpus_plan import PlannedExpression
from fedn_synth.plan.distractors import ORDINARY
from fedn_synth.plan.expressions import TimedExpression, draw_expression, draw_gains, draw_length
from fedn_synth.plan.presets import MOMENTS, SOLID, STILLS, Draw, identity_seed, stream
from fedn_synth.renderers import Renderer, check_faces, make_renderer
from fedn_synth.write.corpus import DEFAULTS, LICENCE, VERSION, settings
from fedn_synth.write.output import STILL_QUALITY, Report, begin_or_resume, encode_jpeg, finish, run_all

# The one import against the flow corpora -> video: the stills have to show what the detector's crops will show.

STILLS_NAME: Final = "stills"
"""`stills.json` describes a set of stills; it is written last."""

CLASSES: Final = ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt")
"""Emotions in the order of AffectNet's class numbers 0 to 7."""
VALENCE_SIGN: Final = (0, 1, -1, 0, -1, -1, -1, -1)
"""Sign of the valence of each class; surprise is neither pleasant nor unpleasant."""

MAX_SHIFT: Final = 0.06
"""A crop is off by up to this share of its side, as after a detector's error and head sway."""
MAX_ZOOM: Final = 0.08
MAX_ROLL: Final = 6.0
"""Degrees by which a crop is turned at most."""
VALIDATION_SHARE: Final = 0.1
"""Share of the people who are seen in `val_set` only."""

_MICRO_LIKE: Final = 0.35  # share of the expressions that are as faint, partial or one-sided as a micro-expression
_FAINT: Final = (0.10, 0.35)
_PLAIN: Final = (0.25, 1.00)


@dataclass(frozen=True, slots=True)
class StillsJob:
    """What to write: everything that the files depend on."""

    seed: int = 0  # not negative
    identities: int = 600  # number of people
    per_identity: int = 20  # stills of each
    size: int = 160  # side of the square images in pixels
    version: int = VERSION  # of the generator
    faces: Faces = "2d"  # `2d` flat painted faces or `3d` heads of a mesh
    pose: float = 0.0  # maximum yaw and pitch in degrees; 0 leaves the ordinary sway

    @property
    def people(self) -> int:
        """Namespace of the people."""
        return STILLS + SOLID * (self.faces == "3d")


@dataclass(frozen=True)
class StillsPlan:
    """What one person shows on their stills."""

    tracks: FaceTracks  # `N` frames, one for each still
    expression: npt.NDArray[np.int64]  # `(N,)` int64, index into :data:`CLASSES`
    valence: npt.NDArray[np.float32]  # `(N,)` float32, -1 to 1
    arousal: npt.NDArray[np.float32]  # `(N,)` float32, 0 to 1: the peak intensity of the expression


def write_stills(out: Path, job: StillsJob, jobs: int | None = None) -> dict[str, Any]:
    """Writes a set of stills, or completes an interrupted one.

    `train_set` and `val_set` hold `images/<id>.jpg` and, in `annotations/`, `<id>_exp.npy` (class number, int64),
    `<id>_val.npy` and `<id>_aro.npy` (valence and arousal, float64). No person is in both.

    Args:
        out: folder to write to: new, empty, or begun by the same job.
        job: what to write.
        jobs: number of processes; None takes one per core. The files do not depend on it.

    Raises:
        ConfigError: if a number of the job cannot work, or the folder holds something else.
    """
    _check(job)
    check_faces(job.faces, job.pose, ORDINARY)
    begin_or_resume(out, STILLS_NAME, settings(job), DEFAULTS)
    for split in ("train_set", "val_set"):
        for kind in ("images", "annotations"):
            (out / split / kind).mkdir(parents=True, exist_ok=True)
    missing = [person for person in range(job.identities) if not _is_complete(out, job, person)]
    run_all(
        partial(write_person, out, job),
        missing,
        title=f"Photographing {job.identities} people",
        total=job.identities * job.per_identity,
        done=(job.identities - len(missing)) * job.per_identity,
        jobs=jobs,
    )
    n_val = n_validation(job.identities)
    contents = {
        **settings(job),
        "licence": LICENCE,
        "classes": CLASSES,
        "n_train": (job.identities - n_val) * job.per_identity,
        "n_val": n_val * job.per_identity,
    }
    finish(out, STILLS_NAME, contents)
    return contents


def n_validation(identities: int) -> int:
    """How many people belong to the validation set: the last ones.

    >>> n_validation(600)
    60
    """
    return max(1, round(identities * VALIDATION_SHARE))


def write_person(out: Path, job: StillsJob, person: int, report: Report) -> None:
    """Writes all stills of one person."""
    rng = stream(STILLS, job.seed, Draw.STILLS_PLAN, person)
    plan = pose_for_stills(job.per_identity, rng)
    if job.pose:
        looking = stream(STILLS, job.seed, Draw.TURNS, person)
        plan.tracks.pose[:, 3:5] += looking.uniform(-1, 1, (job.per_identity, 2)) * (job.pose - ORDINARY.max_turn)
    renderer = make_renderer(job.faces, Identity.sample(identity_seed(job.people, job.seed, person)))
    images, annotations = (_split(out, job, person) / kind for kind in ("images", "annotations"))
    for still in range(job.per_identity):
        name = _name(job, person, still)
        transform = draw_crop(renderer.landmarks(plan.tracks, still), job.size, rng)
        image = renderer.render_crop(plan.tracks, still, int(rng.integers(2**31)), job.size, transform)
        np.save(annotations / f"{name}_exp.npy", plan.expression[still])
        np.save(annotations / f"{name}_val.npy", plan.valence[still])
        np.save(annotations / f"{name}_aro.npy", plan.arousal[still])
        # The image comes last and at once: where it exists, the still is complete.
        partial_file = images / f".{name}.partial"
        partial_file.write_bytes(encode_jpeg(image, STILL_QUALITY, full_colour=True))
        partial_file.replace(images / f"{name}.jpg")
    report(job.per_identity)


def pose_for_stills(n: int, rng: np.random.Generator) -> StillsPlan:
    """Draws what one person shows: independent moments, all classes being equally likely.

    Returns:
        The plan, with every distractor of the corpora.
    """
    tracks = FaceTracks.neutral(n)
    _distract(tracks, rng)
    expression = rng.integers(0, len(CLASSES), n)
    arousal = np.zeros(n)
    for still in np.flatnonzero(expression):
        faint = rng.random() < _MICRO_LIKE
        arousal[still] = rng.uniform(*(_FAINT if faint else _PLAIN))
        emotion = CLASSES[expression[still]]
        planned = PlannedExpression("micro" if faint else "macro", emotion, expert="", self_report="")
        for code, sides in draw_gains(planned, float(arousal[still]), rng).items():
            tracks.action_units[still, AU_INDEX[code]] = sides
    valence = np.array(VALENCE_SIGN)[expression] * arousal
    return StillsPlan(tracks, expression, valence.astype(np.float32), arousal.astype(np.float32))


def draw_crop(landmarks: npt.NDArray[np.float32], size: int, rng: np.random.Generator) -> Transform:
    """The canonical crop of one still, as an imperfect eye detector would give it.

    Args:
        landmarks: `(K, 2)` px, in the order of :data:`.anatomy.LANDMARKS`.
        size: side of the crop.
        rng: source of the imperfection.

    Returns:
        `(2, 3)` float64: source to crop pixels.
    """
    # The person's right eye is the left one of the picture. An eye's centre is the middle of its corners.
    eyes = [
        (landmarks[LANDMARK_INDEX[f"eye_outer_{side}"]] + landmarks[LANDMARK_INDEX[f"eye_inner_{side}"]]) / 2
        for side in ("right", "left")
    ]
    zoom = 1 + rng.uniform(-MAX_ZOOM, MAX_ZOOM)
    roll = math.radians(rng.uniform(-MAX_ROLL, MAX_ROLL))
    shift = rng.uniform(-MAX_SHIFT, MAX_SHIFT, 2) * size
    turn = zoom * np.array([[math.cos(roll), -math.sin(roll)], [math.sin(roll), math.cos(roll)]])
    middle = np.full(2, size / 2)
    exact = eye_transform(eyes[0], eyes[1], size)
    return np.column_stack([turn @ exact[:, :2], turn @ (exact[:, 2] - middle) + middle + shift])


def _distract(tracks: FaceTracks, rng: np.random.Generator) -> None:
    """Fills in a random moment of every distractor of :mod:`.distractors`, frame by frame."""
    n = len(tracks)
    limits = np.array([ORDINARY.max_shift] * 2 + [ORDINARY.max_turn] * 3 + [0.03])
    tracks.blink[:] = np.where(rng.random(n) < 0.18, rng.uniform(0, 1, n), 0)
    away = rng.random((n, 1)) < 0.1
    tracks.gaze[:] = np.clip(rng.normal(0, 1, (n, 2)) * np.where(away, (0.6, 0.4), (0.22, 0.13)), -0.9, 0.9)
    tracks.speech[:] = np.where(rng.random((n, 1)) < 0.12, rng.uniform(0, 0.45, (n, 2)), 0)
    tracks.swallow[:] = np.where(rng.random(n) < 0.08, rng.uniform(0, 1, n), 0)
    tracks.pose[:] = np.tanh(rng.normal(0, 0.5, (n, 6))) * limits
    tracks.pose[:, 5] += 1
    tracks.light[:, 0] = 1 + rng.uniform(-1.7, 1.7, n) * (ORDINARY.gain + ORDINARY.drift)
    tracks.light[:, 1] = rng.uniform(-1.7, 1.7, n) * ORDINARY.gradient
    tracks.light[:, 2] = rng.uniform(-1.7, 1.7, n) * ORDINARY.warmth


def _check(job: StillsJob) -> None:
    least = {"seed": 0, "identities": 2, "per_identity": 1, "size": 32}
    for key, value in least.items():
        if getattr(job, key) < value:
            raise ConfigError(f"--{key.replace('_', '-')} must be at least {value}, got {getattr(job, key)}.")


def _split(out: Path, job: StillsJob, person: int) -> Path:
    return out / ("val_set" if person >= job.identities - n_validation(job.identities) else "train_set")


def _name(job: StillsJob, person: int, still: int) -> str:
    return str(person * job.per_identity + still)


def _is_complete(out: Path, job: StillsJob, person: int) -> bool:
    images = _split(out, job, person) / "images"
    return all((images / f"{_name(job, person, still)}.jpg").exists() for still in range(job.per_identity))


EMOTIONS: Final = tuple(emotion for emotion in EMOTION_UNITS if emotion != "others")
TYPES: Final[tuple[ExpressionType, ...]] = ("micro", "macro")
QUIET: Final = 40
"""Frames without an expression before each onset."""


@dataclass(frozen=True, slots=True)
class MomentsJob:
    """What to write."""

    seed: int = 0  # not negative
    identities: int = 20  # number of people; they occur in no corpus and on no stills
    size: int = 128  # side of the square crops in px
    faces: Faces = "2d"  # kind of the faces

    @property
    def people(self) -> int:
        """Namespace of the people."""
        return MOMENTS + SOLID * (self.faces == "3d")


def write_moments(out: Path, job: MomentsJob) -> int:
    """Writes the file and returns how many expressions it holds.

    The `.npz` holds `frames` `(N, 4, S, S, 3)` uint8: two quiet frames, as many frames apart as onset and apex, then
    onset and apex; `emotion`, `type` and `person` `(N,)`; and `faces`.

    Raises:
        ConfigError: if the file's name or a number of the job cannot work, or the faces cannot be rendered.
    """
    if out.suffix != ".npz":
        raise ConfigError(f"--out {out} must end in .npz.")
    if job.seed < 0 or job.identities < 2 or job.size < 32:
        msg = f"--seed must be at least 0, --identities 2 and --size 32, got {job.seed}, {job.identities}, {job.size}."
        raise ConfigError(msg)
    check_faces(job.faces, 0, ORDINARY)
    frames: list[npt.NDArray[np.uint8]] = []
    labels: list[tuple[str, str, int]] = []
    for person in range(job.identities):
        renderer = make_renderer(job.faces, Identity.sample(identity_seed(job.people, job.seed, person)))
        rng = stream(MOMENTS, job.seed, Draw.STILLS_PLAN, person)
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
