"""Writes a generated corpus as CAS(ME)^2 lies on disk: in parallel, resumably, and never over something else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from fedn_lightning.datasets.generated_truth import FOLDER
from fedn_lightning.errors import ConfigError
from fedn_synth import Faces, Form, PresetName
from fedn_synth.face.identity import Identity
from fedn_synth.face.motion import FaceTracks
from fedn_synth.plan.corpus_plan import Scene, plan_corpus, thin
from fedn_synth.plan.distractors import HARD, ORDINARY, Conditions
from fedn_synth.plan.presets import CORPUS, FPS, SOLID, Draw, Preset, find_preset, identity_seed, stream
from fedn_synth.plan.video_plan import plan_expressions, plan_video
from fedn_synth.renderers import check_faces, make_renderer
from fedn_synth.write import output
from fedn_synth.write.annotation import WORKBOOK_NAME, annotate, write_expressions, write_video_truth, write_workbook
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
    """Writes one video and its truth.

    Args:
        out: folder of the corpus.
        job: what is being written.
        scene: the video.
        report: called with the number of frames written.
    """
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
