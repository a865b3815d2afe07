"""Writes a generated corpus as CAS(ME)^2 lies on disk: in parallel, resumably, and never over something else."""

from __future__ import annotations

import json
import multiprocessing
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from queue import Empty
from typing import Any, Final, TypeVar

from fedn_lightning.datasets.generated_truth import FOLDER
from fedn_lightning.errors import ConfigError, FednError
from fedn_lightning.utils.cores import available_cores
from fedn_synth.face.tracks import FaceTracks
from fedn_synth.plan import presets as seeds
from fedn_synth.plan.corpus_plan import Scene, plan_corpus
from fedn_synth.plan.distractors import HARD, ORDINARY, Conditions
from fedn_synth.plan.presets import FPS, Draw, Preset, PresetName, find_preset
from fedn_synth.plan.video_plan import plan_expressions, plan_video
from fedn_synth.renderers import Faces, check_faces, make_renderer
from fedn_synth.write import encode, truth
from fedn_synth.write.encode import Form, Image
from fedn_synth.write.workbook import WORKBOOK_NAME, annotate, write_workbook


def begin_or_resume(out: Path, name: str, job: Mapping[str, Any], defaults: Mapping[str, Any] | None = None) -> None:
    """Marks a new or empty folder as a job's, or recognises it as the same job's.

    Args:
        out: the folder; made if missing.
        name: of the table that :func:`finish` writes: `corpus` for `corpus.json`.
        job: everything the files depend on; plain values.
        defaults: values of settings that a job leaves out.

    Raises:
        ConfigError: if the folder holds anything else. Nothing is written then.
    """
    for path in (out / f"{name}.json", _unfinished(out, name)):
        if path.exists():
            found = {**(defaults or {}), **_read(path)}
            if any(found.get(key) != value for key, value in {**(defaults or {}), **job}.items()):
                have, want = (", ".join(f"{key} {table.get(key)}" for key in job) for table in (found, job))
                msg = f"{path} says: {have}. Asked for: {want}. Choose another folder for --out."
                raise ConfigError(msg)
            return
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        msg = f"{out} exists and holds nothing that this command began; choose a new or empty folder for --out."
        raise ConfigError(msg)
    out.mkdir(parents=True, exist_ok=True)
    _unfinished(out, name).write_text(json.dumps(job, indent=2) + "\n")


def finish(out: Path, name: str, content: Mapping[str, Any]) -> None:
    """Writes the job's summary, which marks the folder as complete, and deletes the mark of the unfinished job."""
    partial = out / f".{name}.json.partial"
    partial.write_text(json.dumps(content, indent=2) + "\n")
    partial.replace(out / f"{name}.json")
    _unfinished(out, name).unlink(missing_ok=True)


def _unfinished(out: Path, name: str) -> Path:
    return out / f"{name}.unfinished.json"


def _read(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text()))
    except (ValueError, TypeError) as error:
        msg = f"{path} cannot be read ({error}); remove its folder, or choose another one for --out."
        raise ConfigError(msg) from error


Task = TypeVar("Task")
Report = Callable[[int], None]
"""Called by a piece of work with the number of units (frames, images) it has done since it called last."""

_POLL_SECONDS: Final = 0.2
# In a worker process: the queue for its reports, and the event that stops it.
_mailbox: Any = None
_stop: Any = None


def run_all(
    work: Callable[[Task, Report], None],
    tasks: Sequence[Task],
    *,
    title: str,
    total: int,
    done: int = 0,
    jobs: int | None = None,
) -> None:
    """Runs every task; the first error stops the rest and is raised.

    Args:
        work: does one task; a module's function, since worker processes import it by its name.
        tasks: picklable arguments, the longest first for an even end.
        title: title of the progress bar.
        total: units of all tasks, including those done before.
        done: units that an earlier, interrupted run has done.
        jobs: number of processes; 1 works in this process, None takes a process per available core.

    Raises:
        ConfigError: if `jobs` is below 1.
        FednError: if a process was killed from outside.
    """
    from fedn_lightning.utils.console import ProgressBar

    if jobs is not None and jobs < 1:
        msg = f"--jobs must be at least 1, got {jobs}."
        raise ConfigError(msg)
    jobs = min(jobs or available_cores(), max(len(tasks), 1))
    with ProgressBar(title, total, done=done, unit="images") as progress:
        if jobs > 1:
            _run_in_processes(work, tasks, jobs, progress.advance)
        else:
            _use_one_thread()
            for task in tasks:
                work(task, progress.advance)


def _run_in_processes(work: Callable[[Task, Report], None], tasks: Sequence[Task], jobs: int, advance: Report) -> None:
    # Spawned, not forked: a forked child inherits the locks of OpenCV's and of the progress bar's threads.
    context = multiprocessing.get_context("spawn")
    mailbox, stop = context.Queue(), context.Event()
    with ProcessPoolExecutor(jobs, mp_context=context, initializer=_start_worker, initargs=(mailbox, stop)) as pool:
        waiting: set[Future[None]] = {pool.submit(_work_and_report, work, task) for task in tasks}
        try:
            while waiting:
                finished, waiting = wait(waiting, timeout=_POLL_SECONDS, return_when=FIRST_EXCEPTION)
                _empty(mailbox, advance)
                for future in finished:
                    future.result()
        except BaseException as error:
            stop.set()
            pool.shutdown(cancel_futures=True)
            if isinstance(error, BrokenProcessPool):
                msg = "A worker process was killed, perhaps for lack of memory. Repeat the command with --jobs 1."
                raise FednError(msg) from error
            raise


def _empty(mailbox: Any, advance: Report) -> None:
    while True:
        try:
            advance(mailbox.get_nowait())
        except Empty:
            return


def _start_worker(mailbox: Any, stop: Any) -> None:
    global _mailbox, _stop
    _mailbox, _stop = mailbox, stop
    # An interrupt from the keyboard reaches every process; the parent alone answers it, by setting `stop`.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _use_one_thread()


def _work_and_report(work: Callable[[Task, Report], None], task: Task) -> None:
    _report(0)
    work(task, _report)


def _report(units: int) -> None:
    if _stop.is_set():
        raise KeyboardInterrupt
    _mailbox.put(units)


def _use_one_thread() -> None:
    """One thread per process: the processes already use every core."""
    import cv2

    cv2.setNumThreads(1)


CORPUS_NAME: Final = "corpus"
"""`corpus.json` describes a corpus; it is written last."""
VERSION: Final = 1
"""Raised when the same preset and seed no longer give the same files."""
LICENCE: Final = "Generated faces, not people. Free to use, share and change (Apache-2.0); no consent is needed."

DEFAULTS: Final[dict[str, Any]] = {"faces": "2d", "pose": 0.0}
"""Settings that are written down only where they differ from these."""

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
        faces: `2d` flat painted faces or `3d` heads of a mesh.
        pose: degrees of yaw and pitch up to which three-dimensional heads look about; 0 leaves the ordinary sway.
    """

    preset: PresetName
    seed: int
    form: Form = "video"
    hard: bool = False
    version: int = VERSION
    faces: Faces = "2d"
    pose: float = 0.0

    @property
    def conditions(self) -> Conditions:
        """Strength of all that is no expression."""
        return replace(HARD if self.hard else ORDINARY, turn=self.pose)

    @property
    def people(self) -> int:
        """Namespace of the people."""
        return seeds.CORPUS + seeds.SOLID * (self.faces == "3d")


def write_corpus(out: Path, job: Job, jobs: int | None = None) -> dict[str, Any]:
    """Writes a corpus, or completes an interrupted one.

    Args:
        out: folder to write to: new, empty, or begun by the same job.
        job: what to write.
        jobs: number of processes; None takes one per core. The files do not depend on it.

    Returns:
        The content of `corpus.json`.

    Raises:
        ConfigError: if the preset does not exist, the seed is negative, the faces cannot be rendered, or the folder
            holds something else.
    """
    preset = find_preset(job.preset)
    if job.seed < 0:
        msg = f"The seed must not be negative, got {job.seed}."
        raise ConfigError(msg)
    check_faces(job.faces, job.pose, job.conditions)
    scenes = plan_corpus(preset, job.seed)
    begin_or_resume(out, CORPUS_NAME, settings(job), DEFAULTS)
    expressions = {scene.index: plan_expressions(scene, preset, job.seed) for scene in scenes}
    rows = annotate(scenes, expressions, preset, job.seed)
    write_workbook(out / WORKBOOK_NAME, rows, scenes)
    truth.write_expressions(out / FOLDER, scenes, expressions)
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
        report: called with the number of frames written.
    """
    preset = find_preset(job.preset)
    plan = plan_video(scene, preset, job.seed, job.conditions)
    truth.write_video_truth(out / FOLDER / f"s{scene.folder}" / f"{scene.stem}.npz", plan)
    frames = render(scene, preset, job, plan.tracks, report)
    quality = encode.HARD_QUALITY if job.hard else encode.QUALITY
    # The video comes last: where it exists, its truth exists, and a resumed run leaves both alone.
    encode.WRITERS[job.form](video_path(out, scene, job.form), frames, quality)


def render(scene: Scene, preset: Preset, job: Job, tracks: FaceTracks, report: Report) -> Iterator[Image]:
    """Yields the frames of a scene, `(480, 640, 3)` uint8 RGB each."""
    from fedn_synth.face.identity import Identity

    person = Identity.sample(seeds.identity_seed(job.people, job.seed, preset.key, scene.subject))
    renderer = make_renderer(job.faces, person)
    rng = seeds.stream(seeds.CORPUS, job.seed, Draw.NOISE, preset.key, scene.index)
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
    return {
        **settings(job),
        "licence": LICENCE,
        "fps": FPS,
        "n_subjects": len(preset.folders),
        "n_videos": len(scenes),
        "n_frames": sum(scene.n_frames for scene in scenes),
        "n_macro": preset.macros,
        "n_micro": preset.micros,
    }
