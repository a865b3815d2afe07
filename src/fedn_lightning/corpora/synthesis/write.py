"""Writes a generated corpus as CAS(ME)^2 lies on disk: in parallel, resumably, and never over something else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from fedn_lightning.corpora.synthesis import encode, seeds, truth
from fedn_lightning.corpora.synthesis.annotation import annotate
from fedn_lightning.corpora.synthesis.casting import Scene, cast
from fedn_lightning.corpora.synthesis.claim import claim, finish
from fedn_lightning.corpora.synthesis.distractors import HARD, ORDINARY
from fedn_lightning.corpora.synthesis.encode import Form, Image
from fedn_lightning.corpora.synthesis.parallel import Report, run_all
from fedn_lightning.corpora.synthesis.performance import Performance
from fedn_lightning.corpora.synthesis.presets import FPS, Preset, PresetName, find_preset
from fedn_lightning.corpora.synthesis.screenplay import plan_acts, write_screenplay
from fedn_lightning.corpora.synthesis.seeds import Draw
from fedn_lightning.corpora.synthesis.workbook import WORKBOOK_NAME, write_workbook
from fedn_lightning.errors import ConfigError

CORPUS_NAME: Final = "corpus"
"""`corpus.json` says what a corpus is and holds; it is written when everything else is there."""
VERSION: Final = 1
"""Raised when the same preset and seed no longer give the same files."""
LICENCE: Final = "Generated faces, not people. Free to use, share and change (Apache-2.0); no consent is needed."

_REPORT_EVERY: Final = 15  # frames


@dataclass(frozen=True, slots=True)
class Job:
    """What to write: everything that the files depend on.

    Attributes:
        preset: name of the preset.
        seed: not negative.
        form: `video` files or folders of `frames`.
        hard: stronger distractors, other lighting and stronger compression; people and expressions stay the same.
        version: of the generator.
    """

    preset: PresetName
    seed: int
    form: Form = "video"
    hard: bool = False
    version: int = VERSION


def write_corpus(out: Path, job: Job, jobs: int | None = None) -> dict[str, Any]:
    """Writes a corpus, or completes an interrupted one.

    Args:
        out: folder to write to: new, empty, or begun by the same job.
        job: what to write.
        jobs: number of processes; None takes one per core. The files do not depend on it.

    Returns:
        The content of `corpus.json`.

    Raises:
        ConfigError: if the preset does not exist, the seed is negative, or the folder holds something else.
    """
    preset = find_preset(job.preset)
    if job.seed < 0:
        msg = f"The seed must not be negative, got {job.seed}."
        raise ConfigError(msg)
    scenes = cast(preset, job.seed)
    claim(out, CORPUS_NAME, asdict(job))
    acts = {scene.index: plan_acts(scene, preset, job.seed) for scene in scenes}
    rows = annotate(scenes, acts, preset, job.seed)
    write_workbook(out / WORKBOOK_NAME, rows, scenes)
    truth.write_expressions(out / truth.FOLDER, scenes, acts)
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
    return out / encode.FOLDER[form] / scene.parent / f"{scene.stem}{encode.SUFFIX[form]}"


def write_scene(out: Path, job: Job, scene: Scene, report: Report) -> None:
    """Writes one video and its truth.

    Args:
        out: folder of the corpus.
        job: what is being written.
        scene: the video.
        report: told how many frames were written.
    """
    preset = find_preset(job.preset)
    play = write_screenplay(scene, preset, job.seed, HARD if job.hard else ORDINARY)
    truth.write_video_truth(out / truth.FOLDER / f"s{scene.folder}" / f"{scene.stem}.npz", play)
    frames = render(scene, preset, job, play.performance, report)
    quality = encode.HARD_QUALITY if job.hard else encode.QUALITY
    # The video comes last: where it exists, its truth exists, and a resumed run leaves both alone.
    encode.WRITERS[job.form](video_path(out, scene, job.form), frames, quality)


def render(scene: Scene, preset: Preset, job: Job, performance: Performance, report: Report) -> Iterator[Image]:
    """Yields the frames of a scene, `(480, 640, 3)` uint8 RGB each."""
    from fedn_lightning.corpora.synthesis.identity import Identity
    from fedn_lightning.corpora.synthesis.renderer import FaceRenderer

    person = Identity.sample(seeds.identity_seed(seeds.CORPUS, job.seed, preset.key, scene.subject))
    renderer = FaceRenderer(person)
    rng = seeds.stream(seeds.CORPUS, job.seed, Draw.NOISE, preset.key, scene.index)
    noise_seeds = rng.integers(0, 2**31, len(performance))
    reported = 0
    for frame, noise_seed in enumerate(noise_seeds.tolist()):
        yield renderer.render(performance, frame, noise_seed)
        if frame - reported >= _REPORT_EVERY:
            report(frame - reported)
            reported = frame
    report(len(performance) - reported)


def _contents(job: Job, preset: Preset, scenes: tuple[Scene, ...]) -> dict[str, Any]:
    return {
        **asdict(job),
        "licence": LICENCE,
        "fps": FPS,
        "n_subjects": len(preset.folders),
        "n_videos": len(scenes),
        "n_frames": sum(scene.n_frames for scene in scenes),
        "n_macro": preset.macros,
        "n_micro": preset.micros,
    }
