"""A run of W&B: its identity, its folder, its start and its end, and the numbers of its summary.

Offline is the default: no key and no network are needed, and `wandb sync` uploads a run later. The environment variable
`WANDB_MODE` goes before the configuration, as in every W&B program.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from lightning.fabric.utilities.rank_zero import rank_zero_only
from lightning.pytorch.loggers import Logger, WandbLogger

from fedn_lightning.datasets.base import digest_corpus
from fedn_lightning.errors import ConfigError
from fedn_lightning.events import EXPRESSION_TYPES, Corpus, EventTable, Video
from fedn_lightning.loggers import media
from fedn_lightning.loggers.metrics import STEP
from fedn_lightning.results.names import RESULT, TABLES
from fedn_lightning.results.run_folder import RunConfig
from fedn_lightning.utils.files import digest_file

Mode = Literal["offline", "online", "disabled"]

NOT_THE_EXPERIMENT = ("run_dir", "wandb", "seed_everything", "ckpt_path", "weights_only", "verbose", "config")
"""Top-level configuration keys that do not change what is computed; the seed is part of the group's name instead."""

HELD_OUT = "test_subject"
"""The argument of the data module in which folds of one experiment differ; it must not change their hash."""


@dataclass
class WandbSettings:
    """How a run appears in W&B.

    Attributes:
        project: W&B project.
        entity: user or team that owns the project; that of the login by default.
        mode: `offline` writes into the run folder, `online` uploads, `disabled` does without W&B. The environment
            variable WANDB_MODE goes before it.
        group: runs that belong together; experiment, configuration hash and seed by default.
        job_type: role of the run in its group, e.g. `fold` or `aggregate`; the command (`fit`, `test`) by default.
        name: display name; the experiment by default.
        tags: free labels.
        events: log what lies in the videos: tables of events, timelines, files of predictions and truths. Without it
            W&B gets scores and configuration alone.
        faces: log film strips, which show faces; by default only those of a generated corpus, since the licences of
            real ones forbid passing faces on.
        checkpoints: log the best checkpoint; without it W&B gets its name, size and checksum.
    """

    project: str = "fedn-lightning"
    entity: str | None = None
    mode: Mode = "offline"
    group: str | None = None
    job_type: str | None = None
    name: str | None = None
    tags: list[str] | None = None
    events: bool = True
    faces: bool | None = None
    checkpoints: bool = True


@dataclass(frozen=True)
class Identity:
    """The identity of a run in W&B. It follows from the configuration, so that a repeated run takes the same place."""

    id: str
    group: str
    job_type: str
    name: str


def resolve_mode(configured: str) -> Mode:
    """The mode in force: that of the environment variable WANDB_MODE where it is set, else the configured one."""
    mode = os.environ.get("WANDB_MODE") or configured
    mode = {"dryrun": "offline", "run": "online"}.get(mode, mode)
    if mode not in get_args(Mode):
        raise ConfigError(f'WANDB_MODE is "{mode}"; it must be one of {", ".join(get_args(Mode))}.')
    return mode  # type: ignore[return-value] # narrowed by the test above


def config_hash(config: Mapping[str, Any]) -> str:
    """Eight hexadecimal digits that name what is computed.

    The folder, the seed, W&B's own settings and the held-out subjects are left out: seeds and folds of one experiment
    share a hash.

    >>> config_hash({"run_dir": "a", "lr": 1}) == config_hash({"run_dir": "b", "lr": 1}) != config_hash({"lr": 2})
    True
    """
    kept = {key: value for key, value in config.items() if key not in NOT_THE_EXPERIMENT}
    text = json.dumps(_without_held_out(kept), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _without_held_out(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_held_out(child) for key, child in value.items() if key != HELD_OUT}
    return value


def identify(settings: WandbSettings, config: Mapping[str, Any], experiment: str, command: str) -> Identity:
    """Derives the identity of a run from its configuration."""
    seed = config.get("seed_everything")
    group = settings.group or f"{experiment}-{config_hash(config)}-seed{seed}"
    job_type = settings.job_type or command
    name = settings.name or experiment
    # The folder tells apart two runs that share all names, e.g. two folds whose names the user has not set.
    token = "/".join([settings.project, group, job_type, name, str(config.get("run_dir"))])
    own = hashlib.sha256(token.encode()).hexdigest()[:12]
    return Identity(sweep_run() or own, group, job_type, name)


def sweep_run() -> str | None:
    """The id that the agent of a W&B sweep has given this run, which the sweep knows it by; None outside a sweep."""
    return os.environ.get("WANDB_RUN_ID") if os.environ.get("WANDB_SWEEP_ID") else None


@contextlib.contextmanager
def wandb_session(run_dir: str | Path, mode: Mode) -> Iterator[None]:
    """Keeps W&B's files inside the run folder and always ends the run, also when an exception passes through.

    Without the end the next logger of the process would continue this run. Variables that the user has set win, and
    the environment is restored. Offline, W&B's configuration folder lies in the run folder too; online it stays where
    the user's login is.
    """
    home = Path(run_dir).absolute() / "wandb"
    kinds = ["data", "cache", "artifact"] + (["config"] if mode != "online" else [])
    wanted = {f"WANDB_{kind.upper()}_DIR": str(home / kind) for kind in kinds}
    added = [key for key in wanted if key not in os.environ]
    os.environ.update({key: wanted[key] for key in added})
    failed = True
    try:
        yield
        failed = False
    finally:
        if mode != "disabled":
            finish(failed)
        for key in added:
            os.environ.pop(key, None)


def finish(failed: bool = False) -> None:
    """Ends the W&B run of this process, if there is one."""
    import wandb

    if wandb.run is not None:
        wandb.finish(exit_code=int(failed))


def start(settings: WandbSettings, identity: Identity, run_dir: str | Path, mode: Mode) -> WandbLogger:
    """Starts a W&B run inside the run folder, on the first process of a distributed run alone."""
    if getattr(rank_zero_only, "rank", 0) != 0:
        return WandbLogger(save_dir=str(run_dir), project=settings.project)  # logs nothing on this process
    import wandb

    finish()  # a run left open by other code in this process would be continued
    try:
        run = wandb.init(
            project=settings.project,
            entity=settings.entity,
            dir=str(Path(run_dir).absolute()),
            mode=mode,
            resume="allow",
            tags=settings.tags,
            **asdict(identity),
            # Its notices would tear the progress bars; the end card shows the folder of the run.
            settings=wandb.Settings(silent=True, console="off"),
        )
    except wandb.errors.Error as error:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise ConfigError(f"W&B did not start ({reason}); run `wandb login`, or set WANDB_MODE=offline.") from error
    run.define_metric(STEP)
    run.define_metric("*", step_metric=STEP, step_sync=True)
    return WandbLogger(experiment=run, save_dir=str(run_dir), project=settings.project)


def run_of(loggers: Iterable[Logger]) -> Any | None:
    """The W&B run among a trainer's loggers, None if there is none or this is not the first process."""
    if getattr(rank_zero_only, "rank", 0) != 0:
        return None
    return next((logger.experiment for logger in loggers if isinstance(logger, WandbLogger)), None)


def log_config(loggers: Iterable[Logger], config: Mapping[str, Any]) -> None:
    """Puts the whole nested configuration into the W&B run."""
    if (run := run_of(loggers)) is not None:
        run.config.update(dict(config), allow_val_change=True)


def log_timeline(loggers: Iterable[Logger], key: str, picture: str | Path, step: int, caption: str = "") -> None:
    """Logs a picture file, e.g. a timeline, under `key` at a training step."""
    if (run := run_of(loggers)) is None:
        return
    import wandb

    run.log({key: wandb.Image(str(picture), caption=caption or None), STEP: step})


MODEL, PREDICTIONS, DATASET = "model", "predictions", "dataset"
"""Types of artifact."""

FILES = (*TABLES, RESULT)


def run_label(config: Mapping[str, Any], default: str = "run") -> str:
    """What names a run's artifacts: experiment, the run's own name (a fold's is its subject), seed.

    >>> run_label({"experiment": "casme2", "wandb": {"name": "s15"}, "seed_everything": 7})
    'casme2-s15-seed7'
    """
    name = (config.get("wandb") or {}).get("name")
    seed = config.get("seed_everything")
    parts = [config.get("experiment") or default, name, None if seed in (None, False) else f"seed{seed}"]
    return re.sub(r"[^A-Za-z0-9._-]+", "-", "-".join(str(part) for part in parts if part))[:100]


def checkpoint_artifact(checkpoint: Path) -> Any:
    """The artifact of a checkpoint.

    One of this project's runs (`RUN/checkpoints/NAME.ckpt`) is named after that run, and holds the file unless the run
    says `wandb.checkpoints: false`. A checkpoint from elsewhere is someone else's: it is described, not uploaded.
    """
    import wandb

    config = RunConfig.read(checkpoint.absolute().parent.parent)
    size = checkpoint.stat().st_size
    label = (
        run_label(config.content) if config else re.sub(r"[^A-Za-z0-9._-]+", "-", f"external-{checkpoint.stem}")[:100]
    )
    artifact = wandb.Artifact(f"{MODEL}-{label}", MODEL, metadata={"mib": round(size / 2**20, 1)})
    if config and config.wandb.get("checkpoints", True):
        _add(artifact, checkpoint)
    else:
        content = {"name": checkpoint.name, "bytes": size, "sha256": digest_file(checkpoint)}
        _describe(artifact, "checkpoint.json", content)
    return artifact


def predictions_artifact(folder: Path, label: str | None = None) -> Any:
    """The tables and the result of a run, or of pooled folds."""
    import wandb

    artifact = wandb.Artifact(f"{PREDICTIONS}-{label or run_label(RunConfig.read(folder).content)}", PREDICTIONS)
    for name in FILES:
        if (folder / name).is_file():
            _add(artifact, folder / name)
    return artifact


def corpus_artifact(corpus: Corpus) -> Any:
    """What a corpus holds, in numbers and with a checksum of its labels; none of its files, names or labels."""
    import wandb

    counts: dict[str, int] = {kind: sum(e.type == kind for e in corpus.expressions) for kind in EXPRESSION_TYPES}
    content: dict[str, str | int] = {
        "dataset": corpus.name,
        "subjects": len(corpus.subjects),
        "videos": len(corpus.videos),
        **counts,
        "repaired_or_dropped_rows": len(corpus.repairs),
        "digest": digest_corpus(corpus),
    }
    artifact = wandb.Artifact(f"{DATASET}-{corpus.name}", DATASET, metadata=content)
    _describe(artifact, "corpus.json", content)
    return artifact


def _add(artifact: Any, path: Path) -> None:
    # Neither copied beside the run nor into a cache: a study of 98 folds would fill the disk with its own checkpoints.
    artifact.add_file(str(path.absolute()), name=path.name, policy="immutable", skip_cache=True)


def _describe(artifact: Any, name: str, content: Mapping[str, Any]) -> None:
    with artifact.new_file(name, encoding="utf-8") as file:
        json.dump(content, file, indent=2, sort_keys=True)


def log_artifact(run: Any, artifact: Any, aliases: Sequence[str] = ()) -> None:
    """Declares an artifact as an output of a run."""
    run.log_artifact(artifact, aliases=["latest", *aliases])


def use_artifact(run: Any, artifact: Any) -> None:
    """Declares an artifact as an input of a run, offline as online.

    `run.use_artifact` refuses to work offline, and online waits for the upload of an artifact that was made here. This
    writes the same record as it does then, `use_after_commit`: the upload of the run makes the artifact, or finds the
    version that has its content already, and then declares its use. The method is W&B's own and private; a test reads
    the record back.
    """
    run._log_artifact(artifact, is_user_created=True, use_after_commit=True)


JOB_TYPE = "aggregate"

TIMELINES = 12
"""Timelines of the run; each fold's own run has more."""

PREFIX = "pooled/"
"""Of its tables and pictures."""


@dataclass(frozen=True)
class Aggregate:
    """What the run shows."""

    settings: WandbSettings  # project, entity and mode (WANDB_MODE goes before it), and what may be logged
    group: str  # of the folds
    name: str  # of the run
    folder: Path  # where its files lie, those of the pooled predictions among them
    config: Mapping[str, Any]  # of the experiment
    scores: Mapping[str, float]  # numbers of the summary
    subjects: Sequence[Sequence[Any]]  # rows of text, the first is the head
    predicted: EventTable  # predictions of all folds at or above their thresholds
    truths: EventTable  # of all folds
    videos: Sequence[Video]  # the position is the `video` index of both tables
    emotions: Sequence[str]  # class names in the order of the `emotion` index
    timelines: Sequence[tuple[str, Path]]  # caption and picture
    folds: Sequence[Path]  # folders of the folds, whose predictions these are


def aggregate_id(project: str, group: str, name: str = "pooled") -> str:
    """Id of the run that stands for a group's folds; it follows from their names.

    >>> aggregate_id("fedn-lightning", "casme2-0badcafe-seed7")
    '5396a34395c6'
    """
    return hashlib.sha256("/".join([project, group, JOB_TYPE, name]).encode()).hexdigest()[:12]


def log_aggregate(aggregate: Aggregate) -> None:
    """Writes the run; the same folds take the same place again, so that pooling anew replaces the numbers."""
    mode = resolve_mode(aggregate.settings.mode)
    if mode == "disabled":
        return
    run_id = aggregate_id(aggregate.settings.project, aggregate.group, aggregate.name)
    identity = Identity(run_id, aggregate.group, JOB_TYPE, aggregate.name)
    with wandb_session(aggregate.folder, mode):
        run = start(aggregate.settings, identity, aggregate.folder, mode).experiment
        run.config.update(dict(aggregate.config), allow_val_change=True)
        run.log({f"{PREFIX}subjects": media.make_table(aggregate.subjects)})
        run.summary.update(dict(aggregate.scores))
        if aggregate.settings.events:
            _log_events(run, aggregate)


def _log_events(run: Any, aggregate: Aggregate) -> None:
    """Logs what lies in the videos, and the folds' predictions as what it was pooled from."""
    tables = aggregate.predicted, aggregate.truths, aggregate.videos, aggregate.emotions
    pictures = media.timelines(PREFIX, aggregate.timelines, TIMELINES)
    run.log(media.events_tables(PREFIX, *tables) | pictures)
    for fold in aggregate.folds:
        use_artifact(run, predictions_artifact(fold))
    log_artifact(run, predictions_artifact(aggregate.folder, f"{aggregate.group}-{aggregate.name}"))


STUDY_JOB = "study"


@dataclass(frozen=True)
class StudyRow:
    """What a row's run shows."""

    name: str  # of the row, and of the run
    config: Mapping[str, Any]  # of its experiment
    scores: Mapping[str, float]  # numbers of the summary


def log_study_rows(settings: WandbSettings, group: str, folder: Path, rows: Sequence[StudyRow]) -> None:
    """Writes a run for each row; a row takes the same place again, so that a later table replaces the numbers."""
    mode = resolve_mode(settings.mode)
    if mode == "disabled":
        return
    for row in rows:
        token = "/".join([settings.project, group, STUDY_JOB, row.name])
        identity = Identity(hashlib.sha256(token.encode()).hexdigest()[:12], group, STUDY_JOB, row.name)
        home = folder / row.name
        home.mkdir(parents=True, exist_ok=True)
        with wandb_session(home, mode):
            run = start(settings, identity, home, mode).experiment
            run.config.update(dict(row.config), allow_val_change=True)
            run.summary.update(dict(row.scores))
