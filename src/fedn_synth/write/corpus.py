"""Writes a generated corpus as CAS(ME)^2 lies on disk: in parallel, resumably, and never over something else."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass, fields, replace
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from fedn_lightning.analysis.synthetic_truth import EXPRESSIONS_FILE, FOLDER
from fedn_lightning.errors import ConfigError
from fedn_synth import Faces, Form, PresetName
from fedn_synth.face.identity import Identity
from fedn_synth.face.motion import FaceTracks
from fedn_synth.face.muscles import AU_CODES
from fedn_synth.plan.corpus_plan import Scene, plan_corpus, thin
from fedn_synth.plan.distractors import HARD, ORDINARY, Conditions
from fedn_synth.plan.expressions import TimedExpression
from fedn_synth.plan.presets import CORPUS, FPS, MATERIALS, SOLID, Draw, Preset, find_preset, identity_seed, stream
from fedn_synth.plan.video_plan import VideoPlan, plan_expressions, plan_video
from fedn_synth.renderers import check_faces, make_renderer
from fedn_synth.write import output
from fedn_synth.write.output import Image, Report, begin_or_resume, finish, run_all

CORPUS_NAME: Final = "corpus"
"""`corpus.json` describes a corpus; it is written last."""
VERSION: Final = 1
"""Raised when the same preset and seed no longer give the same files."""
LICENCE: Final = "Generated faces, not people. Free to use, share and change (Apache-2.0); no consent is needed."

DEFAULTS: Final[dict[str, Any]] = {"faces": "2d", "pose": 0.0, "rate": 1.0}
"""Settings that are written down only where they differ from these."""

_REPORT_EVERY: Final = 15  # frames


@dataclass(frozen=True, slots=True)
class Job:
    """What to write: everything that the files depend on."""

    preset: PresetName  # name of the preset
    seed: int  # not negative
    form: Form = "video"  # `video` files or folders of `frames`
    # stronger distractors, other lighting and stronger compression; people and expressions stay the same
    hard: bool = False
    version: int = VERSION  # of the generator
    faces: Faces = "2d"  # `2d` flat painted faces or `3d` heads of a mesh
    # degrees of yaw and pitch up to which three-dimensional heads look about; 0 leaves the ordinary sway
    pose: float = 0.0
    rate: float = 1.0  # share of the preset's expressions that are shown, 0 to 1

    @property
    def conditions(self) -> Conditions:
        """Strength of all that is no expression."""
        return replace(HARD if self.hard else ORDINARY, turn=self.pose)

    @property
    def people(self) -> int:
        """Namespace of the people."""
        return CORPUS + SOLID * (self.faces == "3d")


def write_corpus(out: Path, job: Job, jobs: int | None = None) -> dict[str, Any]:
    """Writes a corpus, or completes an interrupted one.

    Args:
        out: folder to write to: new, empty, or begun by the same job.
        job: what to write.
        jobs: number of processes; None takes one per core. The files do not depend on it.

    Raises:
        ConfigError: if the preset does not exist, the seed is negative, the rate is not between 0 and 1, the faces
            cannot be rendered, or the folder holds something else.
    """
    preset = find_preset(job.preset)
    if job.seed < 0:
        raise ConfigError(f"The seed must not be negative, got {job.seed}.")
    if not 0 <= job.rate <= 1:
        raise ConfigError(f"--rate must be between 0 and 1, got {job.rate:g}.")
    check_faces(job.faces, job.pose, job.conditions)
    scenes = thin(plan_corpus(preset, job.seed), job.rate)
    begin_or_resume(out, CORPUS_NAME, settings(job), DEFAULTS)
    expressions = {scene.index: plan_expressions(scene, preset, job.seed) for scene in scenes}
    rows = annotate(scenes, expressions, preset, job.seed)
    write_workbook(out / WORKBOOK_NAME, rows, scenes)
    write_expressions(out / FOLDER, scenes, expressions)
    missing = [scene for scene in scenes if not video_path(out, scene, job.form).exists()]
    missing.sort(key=lambda scene: (-scene.n_frames, scene.index))
    for scene in missing:
        video_path(out, scene, job.form).parent.mkdir(parents=True, exist_ok=True)
    n_frames = sum(scene.n_frames for scene in scenes)
    run_all(
        partial(write_scene, out, job),
        missing,
        title=f"Filming {len(scenes)} videos",
        total=n_frames,
        done=n_frames - sum(scene.n_frames for scene in missing),
        jobs=jobs,
    )
    contents = _contents(job, preset, scenes)
    finish(out, CORPUS_NAME, contents)
    return contents


def video_path(out: Path, scene: Scene, form: Form) -> Path:
    """Where a scene's video file or folder of frames lies."""
    return out / output.FOLDER[form] / scene.parent / f"{scene.stem}{output.SUFFIX[form]}"


def write_scene(out: Path, job: Job, scene: Scene, report: Report) -> None:
    """Writes one video and its truth."""
    preset = find_preset(job.preset)
    plan = plan_video(scene, preset, job.seed, job.conditions)
    write_video_truth(out / FOLDER / f"s{scene.folder}" / f"{scene.stem}.npz", plan)
    frames = render(scene, preset, job, plan.tracks, report)
    quality = output.HARD_QUALITY if job.hard else output.QUALITY
    # The video comes last: where it exists, its truth exists, and a resumed run leaves both alone.
    output.WRITERS[job.form](video_path(out, scene, job.form), frames, quality)


def render(scene: Scene, preset: Preset, job: Job, tracks: FaceTracks, report: Report) -> Iterator[Image]:
    """Yields the frames of a scene, `(480, 640, 3)` uint8 RGB each."""
    person = Identity.sample(identity_seed(job.people, job.seed, preset.key, scene.subject))
    renderer = make_renderer(job.faces, person)
    rng = stream(CORPUS, job.seed, Draw.NOISE, preset.key, scene.index)
    noise_seeds = rng.integers(0, 2**31, len(tracks))
    reported = 0
    for frame, noise_seed in enumerate(noise_seeds.tolist()):
        yield renderer.render(tracks, frame, noise_seed)
        if frame - reported >= _REPORT_EVERY:
            report(frame - reported)
            reported = frame
    report(len(tracks) - reported)


def settings(job: Any) -> dict[str, Any]:
    """A job as plain values; what has the value of :data:`DEFAULTS` is left out, as before there was a choice."""
    return {key: value for key, value in asdict(job).items() if key not in DEFAULTS or DEFAULTS[key] != value}


def _contents(job: Job, preset: Preset, scenes: tuple[Scene, ...]) -> dict[str, Any]:
    shown = [planned.type for scene in scenes for planned in scene.expressions]
    return {
        **settings(job),
        "licence": LICENCE,
        "fps": FPS,
        "n_subjects": len(preset.folders),
        "n_videos": len(scenes),
        "n_frames": sum(scene.n_frames for scene in scenes),
        "n_macro": shown.count("macro"),
        "n_micro": shown.count("micro"),
    }


ZERO_OFFSETS: Final = 44 / 300
"""Share of macro-expressions whose offset the annotation does not know and writes as 0."""
ZERO_APEXES: Final = 1 / 300
"""Share of macro-expressions with apex 0."""
LATE_APEXES: Final = 3 / 357
"""Share of expressions whose apex lies after the offset."""
UNTIDY_LABELS: Final = 4 / 357
"""Share of rows with a label in stray case, and as many with a stray space (our choice); a reader must accept both."""


@dataclass(frozen=True, slots=True)
class AnnotationRow:
    """One row of the workbook's first sheet, in its column order. Frames count from 1, onset and offset inclusive."""

    subject: int  # subject number from 1, not the number in the folder name
    material: str  # elicitation video and running number, e.g. `anger1_1`.
    onset: int  # first frame of visible movement
    apex: int  # frame of maximum intensity
    offset: int  # last frame of visible movement, or 0 where it is unknown
    action_units: int | str  # a number for a single unit, else text such as `4+10+14`
    expert: str  # the expert's emotion
    type: str  # `macro-expression` or `micro-expression`
    self_report: str  # the emotion the person reports


def annotate(
    scenes: Sequence[Scene], expressions: Mapping[int, Sequence[TimedExpression]], preset: Preset, seed: int
) -> tuple[AnnotationRow, ...]:
    """The annotation rows of a corpus as its release would have them.

    Returns:
        A row for every expression, by video and onset, some of them with one of the release's oddities. Overlapping
        expressions, themselves an oddity, get no other one.
    """
    rows, overlapping = [], []
    for scene in scenes:
        for number, expression in enumerate(expressions[scene.index]):
            rows.append(_faithful_row(scene, expression, number + 1))
            overlapping.append(bool(scene.overlaps & {number, number + 1}))
    return tuple(_spoil(rows, overlapping, stream(CORPUS, seed, Draw.ANNOTATION, preset.key)))


def _faithful_row(scene: Scene, expression: TimedExpression, number: int) -> AnnotationRow:
    units = expression.action_units
    return AnnotationRow(
        subject=scene.subject,
        material=f"{scene.material}_{number}",
        onset=expression.start + 1,
        apex=expression.apex + 1,
        offset=expression.end,
        action_units=int(units) if units.isdigit() else units,
        expert=expression.planned.expert,
        type=f"{expression.planned.type}-expression",
        self_report=expression.planned.self_report,
    )


def _spoil(rows: list[AnnotationRow], overlapping: Sequence[bool], rng: np.random.Generator) -> list[AnnotationRow]:
    """Adds the oddities, at most one a row."""
    macros = sum(row.type.startswith("macro") for row in rows)
    free = [int(i) for i in rng.permutation(len(rows)) if not overlapping[i]]

    def take(number: float, fits: str = "") -> list[int]:
        """The next rows without an oddity: at least one, so that every preset shows each oddity."""
        taken = [i for i in free if f"{rows[i].type} {rows[i].self_report}".find(fits) >= 0][: max(1, round(number))]
        free[:] = [i for i in free if i not in taken]
        return taken

    for i in take(1, "happiness"):
        rows[i] = replace(rows[i], self_report="happyiness")
    for i in take(macros * ZERO_OFFSETS, "macro"):
        rows[i] = replace(rows[i], offset=0)
    for i in take(macros * ZERO_APEXES, "macro"):
        rows[i] = replace(rows[i], apex=0)
    for i in take(len(rows) * LATE_APEXES):
        rows[i] = replace(rows[i], apex=rows[i].offset + int(rng.integers(1, 5)))
    for i in take(len(rows) * UNTIDY_LABELS):
        rows[i] = replace(rows[i], self_report=rows[i].self_report.capitalize(), expert=rows[i].expert.capitalize())
    for i in take(len(rows) * UNTIDY_LABELS):
        rows[i] = replace(rows[i], self_report=f"{rows[i].self_report} ", expert=f" {rows[i].expert}")
    return rows


WORKBOOK_NAME: Final = "CAS(ME)^2code_final.xlsx"
"""File name of the annotation in the release."""

_DATE: Final = datetime(2000, 1, 1)  # any fixed one: equal corpora are equal files


def write_workbook(path: Path, rows: Sequence[AnnotationRow], scenes: Sequence[Scene]) -> None:
    """Writes the three sheets.

    Sheet 0 holds the annotation rows; sheet 1 (naming rule 1) `folder number, folder name, subject number`, once for
    every video, so that rows repeat; sheet 2 (naming rule 2) the elicitation code, as text with its leading zero, and
    its name. Equal arguments give equal bytes.
    """
    import openpyxl

    book = openpyxl.Workbook()
    book.properties.created = book.properties.modified = _DATE
    book.properties.creator = "fedn data synth"
    annotation = book.active
    annotation.title = "Sheet1"
    for row in rows:
        annotation.append(astuple(row))
    subjects = book.create_sheet("naming rule1")
    for scene in scenes:
        subjects.append([scene.folder, f"s{scene.folder}", scene.subject])
    materials = book.create_sheet("naming rule2")
    for code, material in MATERIALS.items():
        materials.append([code, material])
    partial = path.with_name(f".{path.name}.partial")
    book.save(partial)
    _forget_time(partial)
    partial.replace(path)


def _forget_time(path: Path) -> None:
    """Rewrites a zipped file with one fixed date: openpyxl stamps the members with the time of writing."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    stamp = _DATE.strftime("%Y-%m-%dT%H:%M:%SZ").encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            if name == "docProps/core.xml":  # openpyxl sets `modified` anew when saving
                content = _set_modified(content, stamp)
            archive.writestr(zipfile.ZipInfo(name, _DATE.timetuple()[:6]), content, zipfile.ZIP_DEFLATED)


def _set_modified(content: bytes, stamp: bytes) -> bytes:
    head, _, rest = content.partition(b"<dcterms:modified")
    tag, _, tail = rest.partition(b">")
    return head + b"<dcterms:modified" + tag + b">" + stamp + tail[tail.index(b"<") :]


COLUMNS: Final = (
    *("subject", "video", "type", "start", "apex", "end", "peak"),
    *("emotion", "expert", "self_report", "action_units"),
)


def write_expressions(
    folder: Path, scenes: Sequence[Scene], expressions: Mapping[int, Sequence[TimedExpression]]
) -> None:
    """Writes :data:`EXPRESSIONS_FILE`: frames 0-based, `[start, end)`, and the maximum intensity (0 to 1)."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / EXPRESSIONS_FILE).open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        for scene in scenes:
            for expression in expressions[scene.index]:
                planned = expression.planned
                frames = (expression.start, expression.apex, expression.end, round(expression.peak, 4))
                labels = (planned.emotion, planned.expert, planned.self_report, expression.action_units)
                table.writerow([f"s{scene.folder}", scene.stem, planned.type, *frames, *labels])


def write_video_truth(path: Path, plan: VideoPlan) -> None:
    """Writes a video's tracks and events as a compressed `.npz`.

    Every track of :class:`.FaceTracks` is stored under its own name, `(T, ...)` float32, with the codes of
    the action-unit axis as `au_codes`. `expression_start`, `_apex`, `_end` and `_type` are the expressions,
    `distractor_start`, `_end` and `_kind` the other events; frames 0-based, `[start, end)`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    tracks = {field.name: getattr(plan.tracks, field.name) for field in fields(plan.tracks)}
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as file:
        np.savez_compressed(
            file,
            au_codes=np.array(AU_CODES),
            expression_start=np.array([expression.start for expression in plan.expressions], np.int64),
            expression_apex=np.array([expression.apex for expression in plan.expressions], np.int64),
            expression_end=np.array([expression.end for expression in plan.expressions], np.int64),
            expression_type=np.array([expression.planned.type for expression in plan.expressions], "U5"),
            distractor_start=np.array([event.start for event in plan.distractors], np.int64),
            distractor_end=np.array([event.end for event in plan.distractors], np.int64),
            distractor_kind=np.array([event.kind for event in plan.distractors], "U8"),
            **tracks,
        )
    partial.replace(path)
