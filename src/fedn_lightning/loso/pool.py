"""The pooled result: joins the files of all folds, scores them as `fedn evaluate` does, and summarises seeds.

Counts are summed over all subjects before any ratio is taken; no score that a fold computed is averaged or reused.
"""

from __future__ import annotations

import csv
import json
import math
import resource
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from fedn_lightning.errors import FoldError
from fedn_lightning.events import EXPRESSION_TYPES, IntArray, Video
from fedn_lightning.loggers.metrics import logged_name
from fedn_lightning.loggers.wandb import Aggregate, Mode, WandbSettings, log_aggregate
from fedn_lightning.loso.experiment import Experiment, Fold
from fedn_lightning.loso.status import problem, read_status, training_seconds
from fedn_lightning.metrics.functional.evaluation import flat_scores
from fedn_lightning.metrics.functional.spotting import show
from fedn_lightning.results import Names, read_run_tables, read_videos
from fedn_lightning.results.names import PREDICTIONS, PROPOSALS, RESULT, SELECTIONS, TABLES, TRUTH, VIDEOS, headlines
from fedn_lightning.results.report import (
    GIVEN,
    Report,
    count_emotions,
    score_published,
    score_strict,
    subject_table,
    to_json,
)
from fedn_lightning.results.run_folder import RunConfig
from fedn_lightning.results.writing import PREDICTION_COLUMNS, TRUTH_COLUMNS, VIDEO_COLUMNS, markdown_table, write_csv
from fedn_lightning.utils.files import plain, write_json, write_text

COLUMNS = {PREDICTIONS: PREDICTION_COLUMNS, PROPOSALS: PREDICTION_COLUMNS, TRUTH: TRUTH_COLUMNS, VIDEOS: VIDEO_COLUMNS}


@dataclass(frozen=True)
class Pooled:
    """The folds of one seed, scored together."""

    seed: int  # of the folds
    folder: Path  # where the pooled files lie
    folds: tuple[str, ...]  # names of the folds
    missing: tuple[str, ...]  # subjects of the corpus that no fold held out; empty if all folds are there
    thresholds: dict[str, tuple[float, float]]  # (macro, micro) of each fold, by name
    strict: Report  # every choice made on subjects that are not held out; the headline
    published: Report  # threshold selected on test data, to stand beside papers that do so
    # `(C, C + 1)` int64 over the spotted expressions of the strict selection, row true, column predicted, the last
    # column without an emotion
    confusion: IntArray
    chosen_on: str = "validation"  # `validation` or `training`, the subjects that each fold chose its thresholds on
    given: bool = False  # whether the intervals were given to a recogniser, so that nothing was spotted


def pool(experiment: Experiment, folds: Sequence[Fold], draws: int = 1000) -> Pooled:
    """Scores folds of one seed together.

    Raises:
        FoldError: if a fold is unfinished, damaged or of another experiment, if a subject or a video occurs twice, or
            if videos of a subject are missing.
    """
    check(experiment, folds)
    held_out = {subject for fold in folds for subject in fold.subjects}
    missing = tuple(sorted(set(experiment.subjects) - held_out))
    folder = pooled_folder(experiment, folds[0].seed, partial=bool(missing))
    for name in TABLES:
        write_csv(folder / name, COLUMNS[name], gather(experiment, folds, name))
    check_videos(experiment, folds, folder / VIDEOS)
    tables = read_run_tables(folder)
    results = [read_result(experiment.fold_folder(fold)) for fold in folds]
    chosen_on = str(results[0].get("chosen_on", "validation"))
    return Pooled(
        seed=folds[0].seed,
        folder=folder,
        folds=tuple(fold.name for fold in folds),
        missing=missing,
        thresholds={fold.name: read_thresholds(experiment.fold_folder(fold)) for fold in folds},
        strict=score_strict(tables, draws, chosen_on),
        published=score_published(tables, draws),
        confusion=count_emotions(tables.predicted.events, tables.truths.events, len(tables.names.emotions)),
        chosen_on=chosen_on,
        given=results[0].get("intervals") == "truth",
    )


def pooled_folder(experiment: Experiment, seed: int, partial: bool) -> Path:
    """Where the pooled files of a seed lie; a partial set of folds never replaces a complete one."""
    grouped = f"-group{experiment.group}" if experiment.group > 1 else ""
    return experiment.folder / f"pooled-seed{seed}{grouped}{'-partial' if partial else ''}"


def check(experiment: Experiment, folds: Sequence[Fold]) -> None:
    """Checks that folds can be pooled.

    Raises:
        FoldError: as :func:`pool`.
    """
    if not folds or len({fold.seed for fold in folds}) != 1:
        raise FoldError(f"Folds of one seed are pooled, got seeds {sorted({fold.seed for fold in folds})}.")
    seen: dict[str, Fold] = {}
    for fold in folds:
        if reason := problem(experiment, fold):
            msg = f"The fold {fold} is not finished: {reason} ({experiment.fold_folder(fold)}). Run fedn loso again."
            raise FoldError(msg)
        for subject in fold.subjects:
            if subject in seen:
                raise FoldError(f"Subject {subject} is held out by two folds, {seen[subject].name} and {fold.name}.")
            seen[subject] = fold


def check_videos(experiment: Experiment, folds: Sequence[Fold], path: Path) -> None:
    """Checks that every video of every held-out subject was scored.

    Raises:
        FoldError: naming the subject.
    """
    names = Names()
    read_videos(path, names)
    wanted = {subject: experiment.subjects[subject] for fold in folds for subject in fold.subjects}
    found = {subject: sum(key[0] == subject for key in names.videos) for subject in {key[0] for key in names.videos}}
    for subject in sorted(set(wanted) | set(found)):
        if wanted.get(subject, 0) != found.get(subject, 0):
            raise FoldError(
                f"Subject {subject} has {wanted.get(subject, 0)} videos in the corpus and {found.get(subject, 0)} in "
                f"the folds' videos.csv; run the fold again."
            )


def gather(experiment: Experiment, folds: Sequence[Fold], name: str) -> list[list[str]]:
    """The rows of a table of all folds, after a check that they are about the fold's subjects alone.

    Raises:
        FoldError: naming the file.
    """
    rows: list[list[str]] = []
    for fold in folds:
        path = experiment.fold_folder(fold) / name
        with path.open(newline="", encoding="utf-8") as file:
            header, *body = csv.reader(file)
        if tuple(header) != COLUMNS[name] or {row[0] for row in body} - set(fold.subjects):
            msg = f"{path} is not about {fold.name} alone, or has other columns than {', '.join(COLUMNS[name])}."
            raise FoldError(msg)
        rows += body
    return rows


def read_result(folder: Path) -> dict[str, Any]:
    """The `result.json` of a finished fold."""
    result: dict[str, Any] = json.loads((folder / RESULT).read_text(encoding="utf-8"))
    return result


def read_thresholds(folder: Path) -> tuple[float, float]:
    """The thresholds (macro, micro) a fold has chosen; infinite where it found none."""
    stored: dict[str, Any] = read_result(folder)["threshold"]
    macro, micro = (math.inf if stored[kind] is None else float(stored[kind]) for kind in EXPRESSION_TYPES)
    return macro, micro


def pool_seeds(experiment: Experiment, every: Sequence[Fold], wanted: Sequence[Fold], draws: int) -> list[Pooled]:
    """Pools each seed, and writes `pooled-seed<K>/` and `loso.json` into the experiment's folder.

    Where all folds of a seed are finished they are all pooled, also if only some were asked for; else those asked for,
    and what is written is marked as partial.

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


def pooled_json(pooled: Pooled) -> dict[str, Any]:
    """One seed's result as plain values."""
    result = {
        "seed": pooled.seed,
        "complete": not pooled.missing,
        "missing": list(pooled.missing),
        "folds": list(pooled.folds),
        "thresholds": {name: list(values) for name, values in pooled.thresholds.items()},
        "strict": to_json(pooled.strict),
        "published": to_json(pooled.published),
        "confusion": {"classes": list(pooled.strict.emotions), "counts": pooled.confusion.tolist()},
    }
    result |= {"chosen_on": pooled.chosen_on} if pooled.chosen_on != "validation" else {}
    result |= {"intervals": "truth"} if pooled.given else {}
    clean: dict[str, Any] = plain(result)
    return clean


def headline_rows(pooled: Pooled) -> Iterator[tuple[str, ...]]:
    """Score, strict value and interval, published value and interval."""
    reports = (pooled.strict, pooled.published)
    scores = [flat_scores(report.evaluation) for report in reports]
    for path, name in headlines(pooled.given).items():
        cells = [name]
        for report, values in zip(reports, scores, strict=True):
            interval = (report.intervals or {}).get(path)
            spread = f"[{show(interval.low)}, {show(interval.high)}]" if interval else ""
            cells += [show(values[path]), spread]
        yield tuple(cells)


def over_seeds(seeds: Sequence[Pooled]) -> dict[str, dict[str, dict[str, float]]]:
    """Mean and standard deviation of each headline over seeds, by selection; the deviation of one seed is NaN."""
    result: dict[str, dict[str, dict[str, float]]] = {}
    for mode in SELECTIONS:
        values = [flat_scores(getattr(pooled, mode).evaluation) for pooled in seeds]
        result[mode] = {}
        for path in headlines(seeds[0].given):
            found = [value[path] for value in values]
            deviation = statistics.stdev(found) if len(found) > 1 and not any(map(math.isnan, found)) else math.nan
            result[mode][path] = {"mean": sum(found) / len(found), "standard_deviation": deviation}
    return result


def seeds_json(seeds: Sequence[Pooled]) -> dict[str, Any]:
    """All seeds together; counts are never pooled over seeds, which look at the same videos."""
    result: dict[str, Any] = plain(
        {"seeds": [pooled.seed for pooled in seeds], "over_seeds": over_seeds(seeds)}
        | {"by_seed": {str(pooled.seed): pooled_json(pooled) for pooled in seeds}}
    )
    return result


def title(pooled: Pooled) -> str:
    """What was pooled, in a line."""
    subjects = len(pooled.strict.per_subject or {})
    truths = len(pooled.strict.truths.events)
    partial = f" PARTIAL: {len(pooled.missing)} subjects are missing." if pooled.missing else ""
    given = f" This is {GIVEN}." if pooled.given else ""
    return (
        f"seed {pooled.seed}: {len(pooled.folds)} folds, {subjects} subjects, {pooled.strict.n_videos} videos, "
        f"{truths} expressions; protocol {pooled.strict.evaluation.protocol}.{partial}{given}"
    )


def markdown(pooled: Pooled) -> str:
    """One seed's result as a page of Markdown."""
    rows = [("score", SELECTIONS["strict"], "95 %", SELECTIONS["published"], "95 %"), *headline_rows(pooled)]
    notes = [
        f"- {pooled_report.selection.mode}: {pooled_report.selection.label}"
        for pooled_report in (pooled.strict, pooled.published)
    ]
    parts = [f"# Leave-one-subject-out\n\n{title(pooled)}\n", markdown_table(rows), "\n".join(notes)]
    if not pooled.given:
        parts += ["\n## Subjects (strict)\n", markdown_table(subject_table(pooled.strict.per_subject or {}))]
    return "\n".join(parts) + "\n"


def print_seeds(seeds: Sequence[Pooled], console: Console) -> None:
    """Prints headlines and subjects of each seed, then the spread over seeds."""
    for pooled in seeds:
        console.print(f"\n[bold]{title(pooled)}[/bold]")
        console.print(_rich([("", "strict", "95 %", "published", "95 %"), *headline_rows(pooled)]))
        for mode in SELECTIONS:
            console.print(f"[dim]{mode}: {getattr(pooled, mode).selection.label}[/dim]")
        if not pooled.given:
            console.print(_rich(subject_table(pooled.strict.per_subject or {})))
        console.print(f"files in {pooled.folder}")
    if len(seeds) > 1:
        rows = [("over seeds", *SELECTIONS)]
        spread = over_seeds(seeds)
        for path, name in headlines(seeds[0].given).items():
            cells = [spread[mode][path] for mode in SELECTIONS]
            rows.append((name, *(f"{show(c['mean'])} +/- {show(c['standard_deviation'])}" for c in cells)))
        console.print(_rich(rows))


def _rich(rows: Sequence[Sequence[str]]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
    for index, name in enumerate(rows[0]):
        table.add_column(name, justify="left" if index == 0 else "right", no_wrap=True)
    for row in rows[1:]:
        table.add_row(*row)
    return table
