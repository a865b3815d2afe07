"""The folder of a run: its record of how it was made, and its tables read back and scored."""

from __future__ import annotations

import contextlib
import json
import math
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import yaml  # type: ignore[import-untyped]
from filelock import FileLock, Timeout

from fedn_lightning.datasets import read_all
from fedn_lightning.datasets.base import is_generated
from fedn_lightning.errors import ConfigError, FednError, PredictionFileError
from fedn_lightning.events import EXPRESSION_TYPES, Corpus, EventTable, IntArray, Video
from fedn_lightning.results import Names, RunTables, find_run, read_run_tables
from fedn_lightning.results.names import CONFIG, ENVIRONMENT, PREDICTIONS, PROPOSALS, RESULT, TRUTH, VIDEOS
from fedn_lightning.results.report import Report, count_emotions, score_published, score_strict


class RunFolder:
    """A folder that belongs to one run.

    Nothing of an earlier run is ever deleted or mixed in: an earlier folder of that name is renamed by the time of
    its last change. A run that fails before it has produced anything gives its folder back. A lock beside the folder
    keeps a second process out until :meth:`close`; the system releases it when the process dies.

    Args:
        path: the folder.
        resume: whether the run continues the one in the folder, which then stays where it is.
    """

    def __init__(self, path: str | Path, resume: bool = False) -> None:
        self.path = Path(path)
        self.resume = resume
        self.aside: Path | None = None
        self._new_parents: list[Path] = []
        # Not in the folder, which is renamed when the next run sets it aside.
        self._lock = FileLock(self.path.with_name(f".{self.path.name}.run-lock"), timeout=0)

    def open(self) -> Path | None:
        """Makes the folder.

        Returns:
            Where an earlier run was moved to, None if there was none.

        Raises:
            ConfigError: if another process is writing to the folder.
        """
        self._new_parents = [parent for parent in self.path.parents if not parent.exists()]
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._lock.acquire()
        except Timeout:
            raise ConfigError(
                f"Another process is writing to the run folder {self.path}. Wait until it has finished, or choose "
                "another folder with --run_dir."
            ) from None
        if not self.resume and self.path.is_dir() and any(self.path.iterdir()):
            self.set_aside()
        self.path.mkdir(exist_ok=True)
        return self.aside

    def close(self) -> None:
        """Lets other processes have the folder."""
        if self._lock.is_locked:
            # While it is held: a process that waits for this file then sees that it is gone, and makes another.
            Path(self._lock.lock_file).unlink(missing_ok=True)
            self._lock.release()

    def set_aside(self) -> Path:
        """Renames the earlier run by the time of its last change; returns its new path."""
        self.aside = _free_name(self.path)
        self.path.rename(self.aside)
        return self.aside

    def abandon(self) -> None:
        """Undoes :meth:`open`: removes what this run wrote and puts an earlier run back. A resumed run stays."""
        if self.resume:
            self.close()
            return
        shutil.rmtree(self.path, ignore_errors=True)
        if self.aside is not None:
            self.aside.rename(self.path)
            self.aside = None
        self.close()
        for parent in self._new_parents:
            with contextlib.suppress(OSError):  # another run may have moved in
                parent.rmdir()


def _free_name(path: Path) -> Path:
    stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(path.stat().st_mtime))
    candidate = path.with_name(f"{path.name}.{stamp}")
    number = 2
    while candidate.exists():
        candidate = path.with_name(f"{path.name}.{stamp}-{number}")
        number += 1
    return candidate


@dataclass(frozen=True)
class RunConfig:
    """The configuration that a run has left in its folder, `config.yaml`; false if it has left none.

    Attributes:
        content: all of it, as plain values.
    """

    content: Mapping[str, Any]

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Reads `config.yaml` of a run folder; a missing or broken file gives an empty configuration."""
        try:
            value = yaml.safe_load((folder / CONFIG).read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, RecursionError, yaml.YAMLError):
            value = {}
        return cls(value if isinstance(value, dict) else {})

    def __bool__(self) -> bool:
        return bool(self.content)

    @property
    def experiment(self) -> str | None:
        """The name of the experiment."""
        return self.content.get("experiment")

    @property
    def wandb(self) -> Mapping[str, Any]:
        """The settings of experiment tracking."""
        return _mapping(self.content, "wandb")

    @property
    def data(self) -> Mapping[str, Any]:
        """The arguments of the data module."""
        return _mapping(self.content, "data", "init_args")

    @property
    def corpus(self) -> Mapping[str, Any]:
        """Which corpus, and how its labels are read."""
        return _mapping(self.data, "corpus")

    @property
    def crops(self) -> Mapping[str, Any]:
        """How faces are cropped, and where the clip store is."""
        return _mapping(self.data, "crops")

    @property
    def encoder_weights(self) -> Path | None:
        """The checkpoint of the pre-trained encoder, if the file is there."""
        weights = _mapping(self.content, "model", "init_args", "encoder").get("weights")
        return Path(weights) if weights and Path(weights).is_file() else None


def _mapping(content: Mapping[str, Any], *keys: str) -> Mapping[str, Any]:
    """The mapping below the keys; empty where one of them is missing, or no mapping."""
    for key in keys:
        below = content.get(key)
        content = below if isinstance(below, dict) else {}
    return content


def read_environment(folder: Path) -> dict[str, str]:
    """The lines of `env.txt` as words and values; empty if there is none."""
    try:
        lines = (folder / ENVIRONMENT).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    return {key: value for key, mark, value in (line.partition(": ") for line in lines) if mark}


def resolve(path: str, environment: Mapping[str, str]) -> Path:
    """Where a path of a configuration leads: from the folder the run was started in, or from the current one."""
    there = Path(environment.get("folder", ".")) / path
    return there if there.exists() or not Path(path).exists() else Path(path)


NEEDED = (PREDICTIONS, TRUTH, VIDEOS)
"""Files that a page needs; it names the other missing ones."""


@dataclass(frozen=True)
class RunFiles:
    """What a run has left."""

    folder: Path  # where its tables lie
    pooled: bool  # whether these are the folds of leave-one-subject-out together
    videos: tuple[Video, ...]  # all of them; the position is the `video` index of the tables
    n_frames: tuple[int, ...]  # of each video
    emotions: tuple[str, ...]  # class names in the order of the `emotion` index
    truths: EventTable  # annotated expressions
    predicted: EventTable  # predictions at or above the thresholds that were chosen
    proposals: EventTable  # every proposal
    strict: Report  # scores and 95 % intervals at the chosen thresholds
    published: Report | None  # pooled folds once more with thresholds selected on test data; None for a single run
    confusion: IntArray  # `(C, C + 1)` of the spotted expressions, the last column without an emotion
    thresholds: Mapping[str, tuple[float, float]]  # (macro, micro) by the name of the fold, or of the run
    homes: Mapping[str, Path]  # by subject the folder of the run that tested it, with its checkpoints
    result: Mapping[str, Any]  # content of `result.json`
    config: RunConfig  # of the run, or of the first fold
    environment: Mapping[str, str]  # of the run, or of the first fold, by the words of `env.txt`
    corpus: Corpus | None  # the corpus as it is on disk now; None if it is missing
    generated: bool | None  # whether the faces are generated; None if unknown
    notes: tuple[str, ...]  # sentences about what is missing

    @property
    def given(self) -> bool:
        """Whether the intervals were given to a recogniser, so that nothing was spotted."""
        return self.result.get("intervals") == "truth"


def read_run(folder: str | Path, draws: int = 1000) -> RunFiles:
    """Reads and scores a run.

    Args:
        folder: of a run, of a fold, of pooled folds, or of an experiment with one pooled result.
        draws: of subjects, for the intervals.

    Raises:
        PredictionFileError: if there is no run, more than one, or a table of it cannot be read.
    """
    home = find_run(Path(folder), NEEDED)
    notes: list[str] = []
    result = _read_json(home / RESULT, notes)
    pooled = "strict" in result
    tables = _read_tables(home, notes)
    names, truths, predicted, proposals = tables.names, tables.truths, tables.predicted, tables.proposals
    homes = _homes(home, names, result if pooled else {})
    run = _first(homes)
    config, environment = _read_config(run, notes), read_environment(run)
    corpus, generated = _read_corpus(config, environment, notes)
    videos = _videos(names, corpus, str(config.corpus.get("dataset", "")))
    return RunFiles(
        folder=home,
        pooled=pooled,
        videos=videos,
        n_frames=tuple(names.lengths[key][0] for key in names.videos),
        emotions=tuple(names.emotions),
        truths=_from_first_frame(truths.events, videos),
        predicted=_from_first_frame(predicted.events, videos),
        proposals=_from_first_frame(proposals.events, videos),
        strict=score_strict(tables, draws, str(result.get("chosen_on", "validation"))),
        published=score_published(tables, draws) if pooled else None,
        confusion=count_emotions(predicted.events, truths.events, len(names.emotions)),
        thresholds=_thresholds(result, home),
        homes=homes,
        result=result,
        config=config,
        environment=environment,
        corpus=corpus,
        generated=generated,
        notes=tuple(notes),
    )


def _read_json(path: Path, notes: list[str]) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        notes.append(f"{path.name} is not there or cannot be read, so the thresholds of this run are unknown.")
        return {}
    return value if isinstance(value, dict) else {}


def _read_tables(home: Path, notes: list[str]) -> RunTables:
    if (home / PROPOSALS).is_file():
        return read_run_tables(home)
    notes.append(
        "proposals.csv is not there: mAP, operating curves and confidences are those of predictions.csv alone, "
        "so of the events above the thresholds."
    )
    return read_run_tables(home, proposals=PREDICTIONS)


def _homes(home: Path, names: Names, pooled: Mapping[str, Any]) -> dict[str, Path]:
    """The run folder of each subject."""
    if not pooled:
        return dict.fromkeys(names.subjects, home)
    seed = home.parent / f"seed{pooled.get('seed', 0)}"
    return {subject: seed / fold for fold in pooled.get("folds", ()) for subject in str(fold).split("+")}


def _first(homes: Mapping[str, Path]) -> Path:
    return next(iter(homes.values()), Path())


def _read_config(run: Path, notes: list[str]) -> RunConfig:
    config = RunConfig.read(run)
    if not config:
        notes.append(f"{run / 'config.yaml'} is not there or cannot be read, so corpus and crops cannot be found.")
    return config


def _read_corpus(
    config: RunConfig, environment: Mapping[str, str], notes: list[str]
) -> tuple[Corpus | None, bool | None]:
    """The corpus, which knows apexes and first frames, and whether its faces are generated."""
    settings = config.corpus
    if not settings.get("root"):
        return None, None
    given = settings["root"]
    roots = [resolve(str(root), environment) for root in ([given] if isinstance(given, str) else given)]
    generated = is_generated(roots) if all(root.exists() for root in roots) else None
    try:
        places = [str(root) for root in roots]
        policies = settings.get("policies") or {}
        return read_all(settings["dataset"], places[0] if isinstance(given, str) else places, policies), generated
    except FednError as error:
        why = str(error).split(". ")[0].rstrip(".")
        notes.append(f"The corpus could not be read again, so apexes are not known: {why}.")
        return None, generated


def _videos(names: Names, corpus: Corpus | None, dataset: str) -> tuple[Video, ...]:
    known = {video.key: video for video in corpus.videos} if corpus else {}
    listed = [Video(dataset, *key, path="", fps=names.lengths[key][1]) for key in names.videos]
    return tuple(replace(video, first_frame=known[video.key].first_frame) if video.key in known else video
                 for video in listed)  # fmt: skip


def _from_first_frame(table: EventTable, videos: Sequence[Video]) -> EventTable:
    """Events of files, which are read as if every release counted from 1, from each video's own first frame."""
    shift = [videos[index].first_frame - 1 for index in table.video.tolist()]
    return replace(table, start=table.start - shift, end=table.end - shift)


def _thresholds(result: Mapping[str, Any], home: Path) -> dict[str, tuple[float, float]]:
    """Thresholds by fold; JSON has no infinity, so null stands for a type that is never predicted."""
    stored: Mapping[str, Any] = result.get("thresholds") or {}
    if not stored and result.get("threshold"):
        stored = {home.name: [result["threshold"].get(kind) for kind in EXPRESSION_TYPES]}
    found: dict[str, tuple[float, float]] = {}
    for fold, values in stored.items():
        if len(values) != len(EXPRESSION_TYPES):
            msg = f"{home / 'result.json'} gives {len(values)} thresholds for {fold}; it must be macro and micro."
            raise PredictionFileError(msg)
        macro, micro = (math.inf if value is None else float(value) for value in values)
        found[fold] = (macro, micro)
    return found
