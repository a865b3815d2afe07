"""The table of a study and its question about labels, as Markdown, JSON and a picture."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedn_lightning.analysis.comparison import signed
from fedn_lightning.loggers.metrics import logged_name
from fedn_lightning.metrics.functional.spotting import show
from fedn_lightning.results.names import SCORE_NAMES, STUDY_SCORES
from fedn_lightning.results.writing import markdown_table
from fedn_lightning.utils.drawing import INK, save_figure
from fedn_lightning.utils.files import plain, write_json, write_text

if TYPE_CHECKING:
    from fedn_lightning.study.labels import Answer
    from fedn_lightning.study.statistics import Estimate, Line


from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fedn_lightning.study.labels import Answer, Cell, Crossed
    from fedn_lightning.study.statistics import Estimate


FILES = {"md": "study.md", "json": "study.json", "png": "study.png"}
"""What is written beside the rows' files."""

BLUE, GREY = "#1b6ca8", "#8a9099"


def write_study(
    folder: str | Path,
    name: str,
    baseline: str,
    tables: Mapping[str, Sequence[Line]],
    draws: int,
    labels: Answer | None = None,
) -> str:
    """Writes table and picture.

    Args:
        folder: of the study's results.
        name: of the study.
        baseline: the row that the others are compared with.
        tables: rows with their uncertainty, in order, for each group of held-out subjects; one group called "" if the
            study has none.
        draws: of the bootstrap.
        labels: what the source of the emotion labels costs, if the study asks it.
    """
    folder = Path(folder)
    page = study_markdown(name, baseline, tables, draws) + (f"\n{labels_markdown(labels)}\n" if labels else "")
    asked = {"labels": labels_json(labels)} if labels else {}
    write_text(folder / FILES["md"], page)
    write_json(folder / FILES["json"], study_json(name, baseline, tables, draws) | asked)
    save_study(folder / FILES["png"], baseline, tables)
    return page


def study_markdown(name: str, baseline: str, tables: Mapping[str, Sequence[Line]], draws: int) -> str:
    """A page: the scores, the differences from the baseline, and how both were computed."""
    parts = [f"# Study {name}"]
    for group, lines in tables.items():
        parts += [f"## Tested on {group}"] if group else []
        parts += [markdown_table(score_rows(lines))]
        if any(line.differences for line in lines):
            parts += [f"{'###' if group else '##'} Differences from {baseline}", markdown_table(difference_rows(lines))]
    parts += [notes([line for lines in tables.values() for line in lines], draws)]
    if any(line.differences for lines in tables.values() for line in lines):
        parts.append(
            "Differences: same people and same seeds on both sides; an interval that contains 0 shows no difference."
        )
    return "\n\n".join(parts) + "\n"


def score_rows(lines: Sequence[Line]) -> list[tuple[str, ...]]:
    """Rows of name, seeds, scores with intervals, size and time; the first is the head."""
    head = ("row", "seeds", *(SCORE_NAMES[path] for path in STUDY_SCORES), "parameters", "s/epoch")
    body = [
        (
            line.row.name,
            str(len(line.row.seeds)),
            *(cell(line.estimates[path]) for path in STUDY_SCORES),
            size(line.row.trained_parameters),
            show(line.seconds_an_epoch, 1),
        )
        for line in lines
    ]
    return [head, *body]


def difference_rows(lines: Sequence[Line]) -> list[tuple[str, ...]]:
    """Rows of name, common seeds and differences with intervals; the first is the head."""
    head = ("row", "seeds", *(SCORE_NAMES[path] for path in STUDY_SCORES))
    compared = [line for line in lines if line.differences]
    body = [
        (line.row.name, " ".join(map(str, line.common)), *(signed(line.differences[path]) for path in STUDY_SCORES))
        for line in compared
    ]
    return [head, *body]


def cell(estimate: Estimate) -> str:
    """A score and its interval.

    >>> from fedn_lightning.study.statistics import Estimate
    >>> cell(Estimate(0.5, 0.4, 0.625, {7: 0.5})), cell(Estimate(math.nan, math.nan, math.nan, {}))
    ('0.500 [0.400, 0.625]', '-')
    """
    if math.isnan(estimate.value):
        return "-"
    return f"{show(estimate.value, 3)} [{show(estimate.low, 3)}, {show(estimate.high, 3)}]"


def size(parameters: int) -> str:
    """A number of parameters for a reader.

    >>> size(1_234_567), size(4_200), size(0)
    ('1.23 M', '4.2 k', '-')
    """
    if not parameters:
        return "-"
    return f"{parameters / 1e6:.2f} M" if parameters >= 1e6 else f"{parameters / 1e3:.1f} k"


def notes(lines: Sequence[Line], draws: int) -> str:
    """How the figures were computed."""
    single = list(dict.fromkeys(line.row.name for line in lines if len(line.row.seeds) == 1))
    text = (
        "Selection strict: epoch and thresholds were chosen on validation subjects of each fold; spotting by the "
        "protocol megc, counts pooled over all folds. A score is the mean over seeds, in brackets the 95 % interval of "
        f"{draws} draws of subjects and of seeds with replacement."
    )
    trained = list(dict.fromkeys(line.row.name for line in lines if "training" in chosen_on(line)))
    if trained:
        text += f" Without validation subjects, on the training subjects: {', '.join(trained)}."
    if single:
        text += (
            f" Rows of one seed ({', '.join(single)}) measure the spread over subjects alone, not over "
            "trainings: their intervals are too narrow."
        )
    return text + " Parameters are those that are trained; s/epoch is the median over folds, training and validation."


def chosen_on(line: Line) -> set[str]:
    """The subjects that the folds of a row chose their thresholds on, `validation` or `training`."""
    return {fold.chosen_on for seed in line.row.seeds.values() for fold in seed.folds.values()}


def study_json(name: str, baseline: str, tables: Mapping[str, Sequence[Line]], draws: int) -> dict[str, Any]:
    """As plain values."""
    found = {group: {line.row.name: _line_json(line) for line in lines} for group, lines in tables.items()}
    rows = {"rows": found[""]} if "" in found else {"tests": found}
    result: dict[str, Any] = plain({"study": name, "baseline": baseline, "draws": draws, **rows})
    return result


def _line_json(line: Line) -> dict[str, Any]:
    return {
        "config_hash": line.row.config_hash,
        "group": line.row.group,
        "seeds": sorted(line.row.seeds),
        "chosen_on": sorted(chosen_on(line)),
        "commits": sorted({fold.commit for seed in line.row.seeds.values() for fold in seed.folds.values()}),
        "parameters": line.row.parameters,
        "trained_parameters": line.row.trained_parameters,
        "seconds_an_epoch": line.seconds_an_epoch,
        "scores": {path: asdict(estimate) for path, estimate in line.estimates.items()},
        "seeds_of_differences": list(line.common),
        "differences": {path: asdict(difference) for path, difference in line.differences.items()},
    }


def tracked_row(line: Line) -> tuple[dict[str, Any], dict[str, float]]:
    """What is logged to W&B of a row: its configuration, and its numbers by the names of the pooled runs."""
    row = line.row
    config = {"row": row.name, "config_hash": row.config_hash, "group": row.group, "seeds": sorted(row.seeds)}
    scores = {"parameters": float(row.trained_parameters), "seconds_an_epoch": line.seconds_an_epoch}
    for path, found in line.estimates.items():
        key = logged_name(path)
        scores |= {f"strict/{key}": found.value, f"interval/{key}/low": found.low, f"interval/{key}/high": found.high}
    for path, change in line.differences.items():
        key = f"difference/{logged_name(path)}"
        scores |= {key: change.value, f"{key}/low": change.low, f"{key}/high": change.high}
    return config, {key: value for key, value in scores.items() if not math.isnan(value)}


def save_study(path: str | Path, baseline: str, tables: Mapping[str, Sequence[Line]]) -> Path:
    """Draws each score of each row with its interval, and its seeds as dots; a line marks the baseline."""
    from matplotlib.figure import Figure

    heights = [0.34 * len(lines) + 1.2 for lines in tables.values()]
    figure = Figure(figsize=(13, sum(heights) + 0.5), dpi=110, facecolor="white", layout="constrained")
    grid = figure.subplots(len(tables), len(STUDY_SCORES), sharey="row", squeeze=False, height_ratios=heights)
    for panels, (group, lines) in zip(grid, tables.items(), strict=True):
        for axes, score in zip(panels, STUDY_SCORES, strict=True):
            _draw_score(axes, score, baseline, lines)
        panels[0].set_yticks(range(len(lines)), [line.row.name.replace("_", " ") for line in lines])
        panels[0].set_ylabel(group.replace("_", " "), color=INK, weight="bold")
        panels[0].invert_yaxis()
    return save_figure(figure, path)


def _draw_score(axes: Any, score: str, baseline: str, lines: Sequence[Line]) -> None:
    shown = [line.estimates[score] for line in lines]
    for place, (line, found) in enumerate(zip(lines, shown, strict=True)):
        if math.isnan(found.value):
            continue
        colour = INK if line.row.name == baseline else BLUE
        axes.plot([found.low, found.high], [place, place], color=colour, linewidth=2, alpha=0.55)
        axes.plot(list(found.by_seed.values()), [place] * len(found.by_seed), ".", color=GREY, markersize=5)
        axes.plot([found.value], [place], "o", color=colour, markersize=5.5)
        if line.row.name == baseline:
            axes.axvline(found.value, color=INK, linewidth=0.8, linestyle=":", zorder=0)
    axes.set_title(SCORE_NAMES[score].replace(", ", "\n"), fontsize=10, loc="left", color=INK, weight="bold", pad=8)
    axes.set_xlim(*_span(shown))
    axes.locator_params(axis="x", nbins=4)
    axes.grid(axis="x", color="#eceef0", linewidth=0.8)
    axes.tick_params(labelsize=9, colors=INK, length=0)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)


def _span(shown: Sequence[Estimate]) -> tuple[float, float]:
    """The part of the axis that the intervals take, and a margin; differences are what the picture is for."""
    low = min((e.low for e in shown if not math.isnan(e.low)), default=0.0)
    high = max((e.high for e in shown if not math.isnan(e.high)), default=1.0)
    margin = 0.06 * (high - low) or 0.05
    return low - margin, high + margin


NAMES = {"expert": "expert", "self_report": "self-report"}


def labels_markdown(answer: Answer) -> str:
    """A section of Markdown."""
    crossed = answer.crossed
    parts = ["## Expert against self-reported labels", agreement_text(crossed), markdown_table(confusion_rows(crossed))]
    parts += ["mAP@0.5 of networks trained and chosen on one kind of label, by the labels they are scored by:"]
    parts += [markdown_table(cell_rows(answer.cells)), markdown_table(cost_rows(answer))]
    parts += ["Same people and same seeds on both sides of a difference; brackets contain 95 %."]
    return "\n\n".join(parts)


def agreement_text(crossed: Crossed) -> str:
    """How far both sources agree, in a sentence or two."""
    same, total = crossed.agreement
    both = int(crossed.confusion[:-1, :-1].sum())
    return (
        f"Of {total} expressions, {both} have an analysed class by both sources, and {same} the same one "
        f"({same} of {both}, kappa {show(crossed.kappa, 2)}). Rows are the expert's classes, columns the self-reported."
    )


def confusion_rows(crossed: Crossed) -> list[tuple[str, ...]]:
    """Rows of the expert's class and counts by self-reported class; the first is the head."""
    names = (*crossed.classes, "others")
    body = [(name, *map(str, row)) for name, row in zip(names, crossed.confusion.tolist(), strict=True)]
    return [("expert \\ self-report", *names), *body]


def cell_rows(cells: dict[Cell, Estimate]) -> list[tuple[str, ...]]:
    """Rows of what a network was trained on, and its mAP by each source's labels; the first is the head."""
    head = ("trained on", *(f"scored by {name}" for name in NAMES.values()))
    return [head, *((name, *(interval(cells[source, by]) for by in NAMES)) for source, name in NAMES.items())]


def interval(estimate: Estimate) -> str:
    """A score and its interval."""
    return f"{show(estimate.value, 3)} [{show(estimate.low, 3)}, {show(estimate.high, 3)}]"


def cost_rows(answer: Answer) -> list[tuple[str, ...]]:
    """Rows of a change and what it does to mAP; the first is the head."""
    rows: list[tuple[str, ...]] = [("change", "mAP@0.5")]
    for (before, after), found in answer.costs.items():
        if before[0] == after[0]:
            text = f"trained on {NAMES[before[0]]}: scored by {NAMES[after[1]]} instead of {NAMES[before[1]]}"
        else:
            text = f"scored by {NAMES[before[1]]}: trained on {NAMES[after[0]]} instead of {NAMES[before[0]]}"
        rows.append((text, signed(found)))
    return rows


def labels_json(answer: Answer) -> dict[str, Any]:
    """As plain values."""
    same, total = answer.crossed.agreement
    result: dict[str, Any] = plain(
        {
            "classes": answer.crossed.classes,
            "confusion": answer.crossed.confusion.tolist(),
            "agreement": {"same": same, "of": total, "kappa": answer.crossed.kappa},
            "map@0.5": {f"{trained} by {scored}": asdict(cell) for (trained, scored), cell in answer.cells.items()},
            "costs": {
                f"{after[0]} by {after[1]} - {before[0]} by {before[1]}": asdict(found)
                for (before, after), found in answer.costs.items()
            },
        }
    )
    return result
