"""The pooled result of each seed, and the spread over seeds: computed, written, printed and logged to W&B."""

from __future__ import annotations

import math
import resource
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from fedn_lightning.events import Video
from fedn_lightning.loggers.aggregate import Aggregate, log_aggregate
from fedn_lightning.loggers.metrics import logged_name
from fedn_lightning.loggers.wandb import Mode, WandbSettings
from fedn_lightning.loso.experiment import Experiment, Fold
from fedn_lightning.loso.pool import Pooled, pool
from fedn_lightning.loso.status import problem, read_status, training_seconds
from fedn_lightning.metrics.functional.evaluation import flat_scores
from fedn_lightning.metrics.functional.spotting import show
from fedn_lightning.results import Names, read_videos
from fedn_lightning.results.names import RESULT, SELECTIONS, VIDEOS, headlines
from fedn_lightning.results.report import GIVEN, subject_table, to_json
from fedn_lightning.results.run_folder import RunConfig
from fedn_lightning.results.writing import markdown_table
from fedn_lightning.utils.files import plain, write_json, write_text

if TYPE_CHECKING:
    from fedn_lightning.loso.pool import Pooled


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
