"""All folds of an experiment: every seed pooled, written to files, and told to W&B."""

from __future__ import annotations

import resource
from collections.abc import Mapping, Sequence
from pathlib import Path

from fedn_lightning.events import Video
from fedn_lightning.loggers.aggregate import Aggregate, log_aggregate
from fedn_lightning.loggers.metrics import logged_name
from fedn_lightning.loggers.wandb import Mode, WandbSettings
from fedn_lightning.loso.experiment import Experiment
from fedn_lightning.loso.folds import Fold
from fedn_lightning.loso.pool import Pooled, pool
from fedn_lightning.loso.status import problem, read_status, training_seconds
from fedn_lightning.loso.summary import markdown, pooled_json, seeds_json
from fedn_lightning.metrics.functional.evaluation import flat_scores
from fedn_lightning.results import Names, read_videos
from fedn_lightning.results.names import RESULT, VIDEOS
from fedn_lightning.results.report import subject_table
from fedn_lightning.results.run_folder import RunConfig
from fedn_lightning.utils.files import write_json, write_text


def pool_seeds(experiment: Experiment, every: Sequence[Fold], wanted: Sequence[Fold], draws: int) -> list[Pooled]:
    """Pools each seed, and writes `pooled-seed<K>/` and `loso.json` into the experiment's folder.

    Where all folds of a seed are finished they are all pooled, also if only some were asked for; else those asked for,
    and what is written is marked as partial.

    Args:
        experiment: of the folds.
        every: the folds of the complete experiment.
        wanted: those asked for, all finished.
        draws: of subjects, for the intervals.

    Raises:
        FoldError: if the folds do not belong together.
    """
    seeds = []
    for seed in dict.fromkeys(fold.seed for fold in wanted):
        full = [fold for fold in every if fold.seed == seed]
        complete = all(problem(experiment, fold) is None for fold in full)
        seeds.append(pool(experiment, full if complete else [f for f in wanted if f.seed == seed], draws))
    for pooled in seeds:
        write_json(pooled.folder / RESULT, {"experiment": experiment.to_json(), **pooled_json(pooled)})
        write_text(pooled.folder / "result.md", markdown(pooled))
        log_aggregate(_aggregate(experiment, pooled))
    grouped = f"-group{experiment.group}" if experiment.group > 1 else ""
    partial = "-partial" if any(pooled.missing for pooled in seeds) else ""
    summary = experiment.folder / f"loso{grouped}{partial}.json"
    write_json(summary, {"experiment": experiment.to_json(), **seeds_json(seeds)})
    return seeds


def write_results(
    path: str, experiment: Experiment, seeds: Sequence[Pooled], folds: Sequence[Fold], costs: Mapping[str, float]
) -> None:
    """Writes the pooled seeds and what they cost into one JSON file.

    Args:
        path: the file.
        experiment: of the folds.
        seeds: pooled.
        folds: those whose cost is written. `fold_seconds` is the time of its last attempt; `overhead_seconds` is
            the part of it before the first epoch and after the last: imports, reading, the test and its pictures.
        costs: of this call; folds that were finished before are not counted.
    """
    statuses = {fold: read_status(experiment.fold_folder(fold)) for fold in folds}
    trained = {fold: training_seconds(experiment.fold_folder(fold)) for fold in folds}
    greatest = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024  # Linux counts in KiB
    measured = {
        **costs,
        "greatest_process_mib": round(greatest),
        "fold_seconds": {str(fold): status.seconds for fold, status in statuses.items() if status},
        "overhead_seconds": {
            str(fold): round(status.seconds - seconds, 3)
            for fold, status in statuses.items()
            if status and not status.resumed and (seconds := trained[fold]) is not None
        },
    }
    write_json(path, {"experiment": experiment.to_json(), "costs": measured, **seeds_json(seeds)})


def _aggregate(experiment: Experiment, pooled: Pooled) -> Aggregate:
    """What is logged to W&B for a seed."""
    scores = {
        f"{mode}/{logged_name(path)}": value
        for mode in ("strict", "published")
        for path, value in flat_scores(getattr(pooled, mode).evaluation).items()
        if value == value
    }
    folds = [experiment.folder / f"seed{pooled.seed}" / name for name in pooled.folds]
    names = Names()
    read_videos(pooled.folder / VIDEOS, names)  # first, as in pooling, so that the indices are the same
    return Aggregate(
        settings=_settings(experiment, folds[0]),
        group=experiment.tracking_group(pooled.seed),
        name="pooled-partial" if pooled.missing else "pooled",
        folder=pooled.folder,
        config={**experiment.to_json(), "seed": pooled.seed, "folds": list(pooled.folds)},
        scores=scores,
        subjects=subject_table(pooled.strict.per_subject or {}),
        predicted=pooled.strict.predictions.events,
        truths=pooled.strict.truths.events,
        videos=[Video(experiment.name, *key, path="", fps=names.lengths[key][1]) for key in names.videos],
        emotions=pooled.strict.emotions,
        timelines=_timelines(folds),
        folds=folds,
    )


def _settings(experiment: Experiment, fold: Path) -> WandbSettings:
    """Where the folds' runs are, and what the user allows to be logged."""
    stored = RunConfig.read(fold).wandb
    kept = {key: stored[key] for key in ("entity", "tags", "events") if key in stored}
    mode: Mode = experiment.wandb_mode  # type: ignore[assignment] # read from a configuration that was checked
    return WandbSettings(project=experiment.wandb_project, mode=mode, **kept)


def _timelines(folds: Sequence[Path]) -> list[tuple[str, Path]]:
    """The first timeline of each fold, with its name."""
    found = []
    for fold in folds:
        pictures = sorted((fold / "timelines").glob("*.png"))
        found += [(picture.stem, picture) for picture in pictures if picture.name != "validation.png"][:1]
    return found
