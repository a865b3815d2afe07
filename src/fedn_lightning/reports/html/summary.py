"""The first sections of a report: headline scores, subjects, confusion."""

from __future__ import annotations

import html
import math
from collections.abc import Iterator

from fedn_lightning.metrics.functional.bootstrap import Interval
from fedn_lightning.metrics.functional.evaluation import flat_scores
from fedn_lightning.metrics.functional.spotting import show
from fedn_lightning.reports.console import explain_choice, explain_subjects, scores_table
from fedn_lightning.reports.html.evaluation import spotting_rows
from fedn_lightning.reports.html.skeleton import Cell, Markup, missing, paragraph, section, table
from fedn_lightning.results.names import SELECTIONS, headlines
from fedn_lightning.results.report import GIVEN, subject_table
from fedn_lightning.results.run_scores import RunFiles

FEW_SUBJECTS = 5
"""With fewer an interval over subjects would feign a precision that is not there."""

NOTHING_SPOTTED = "The intervals were given to a recogniser, so there is no spotting to score."

GENERATED = (
    "These are generated faces. The results say that the code works, not how well the network does on the faces of "
    "real people."
)


def top(run: RunFiles) -> Markup:
    """The head of the page: what was run, on whom, and what must be known before a number is read."""
    name = html.escape(str(run.config.experiment or run.folder.name))
    kind = "leave one subject out" if run.pooled else "one run"
    parts = [f"<h1>{name} <span class='soft'>{kind}</span></h1>", paragraph(_whom(run))]
    parts += [f"<p class='notice' role='note'>{html.escape(text)}</p>" for text in _warnings(run)]
    return Markup(f"<header class='top'>{''.join(parts)}</header>")


def _whom(run: RunFiles) -> str:
    subjects = sorted({video.subject for video in run.videos})
    if not run.pooled and run.result.get("subjects"):
        return f"{explain_subjects(dict(run.result))}."
    minutes = sum(n / v.fps for n, v in zip(run.n_frames, run.videos, strict=True)) / 60
    whom = f"{len(subjects)} subjects, each" if run.pooled else f"subjects {', '.join(subjects)},"
    return (
        f"{len(run.truths)} expressions in {len(run.videos)} videos ({minutes:.0f} minutes) of {whom} never seen by "
        "the network that looked for them."
    )


def _warnings(run: RunFiles) -> Iterator[str]:
    if run.generated:
        yield GENERATED
    if run.generated is None:
        yield "The corpus of this run is not there any more, so this page cannot tell whether its faces are real."
    if run.result.get("split") == "validation":
        yield "Thresholds and epoch were chosen on these very subjects: this is not a result to report."
    if run.given:
        yield f"This is {GIVEN}. Intervals and types are those of the labels."
    if run.result.get("missing"):
        yield f"Partial: {len(run.result['missing'])} subjects are missing ({', '.join(run.result['missing'])})."


def summary_section(run: RunFiles) -> Markup:
    """Headline scores with their intervals, counts by type, and how thresholds were chosen."""
    parts = [f"<div class='tiles'>{''.join(_tiles(run))}</div>", paragraph(_choice(run))]
    parts += [missing(note) for note in run.notes]
    if not run.given:
        parts.append(table(spotting_rows(run.strict.evaluation.spotting), "spotting, strict"))
    if run.published is not None:
        rows = [("score", SELECTIONS["strict"], "95 %", SELECTIONS["published"], "95 %"), *_both(run)]
        parts += [table(rows, "strict and published"), paragraph(run.published.selection.label.capitalize() + ".")]
    head, *scores = scores_table(run.strict)
    shown = [row for row in scores if not run.given or row[0].startswith("recognition.")]
    every = table([head, *shown], "all scores, strict")
    parts.append(f"<details><summary>All scores (strict)</summary>{every}</details>")
    return section("summary", "Summary", *parts)


def _choice(run: RunFiles) -> str:
    subjects = _subjects(run)
    spread = f"Intervals: 95 %, {run.strict.draws} draws of the {subjects} subjects with replacement."
    if subjects < FEW_SUBJECTS:
        whom = "1 subject is" if subjects == 1 else f"{subjects} subjects are"
        spread = f"{whom} too few for an interval, which would run over people."
    if run.pooled and not run.given:
        label = run.strict.selection.label
        return f"Strict: {label}; protocol {run.strict.evaluation.protocol}, IoU >= 0.5. {spread}"
    if run.given or "threshold" not in run.result:
        return spread
    choice = explain_choice(dict(run.result))
    return f"{choice[0].upper()}{choice[1:]}. {spread}"


def _subjects(run: RunFiles) -> int:
    return len({video.subject for video in run.videos})


def _tiles(run: RunFiles) -> Iterator[str]:
    values = flat_scores(run.strict.evaluation)
    for path, name in headlines(run.given).items():
        interval = (run.strict.intervals or {}).get(path)
        if interval and (math.isnan(interval.low) or _subjects(run) < FEW_SUBJECTS):
            interval = None
        spread = f"95 % {show(interval.low, 3)} to {show(interval.high, 3)}" if interval else "no interval"
        value = f"<b>{show(values[path], 3)}</b>{_interval_bar(values[path], interval)}"
        yield f"<div class='tile'><span>{html.escape(name)}</span>{value}<span>{spread}</span></div>"


def _interval_bar(value: float, interval: Interval | None) -> str:
    """A value and its interval on a scale from 0 to 1."""
    parts = ["<path class='track' d='M0 7H100'/>"]
    if interval:
        parts.append(f"<path class='range' d='M{100 * interval.low:.1f} 7H{100 * interval.high:.1f}'/>")
    if not math.isnan(value):
        parts.append(f"<path class='value' d='M{100 * value - 0.6:.1f} 7h1.2'/>")
    return f"<svg viewBox='0 0 100 14' preserveAspectRatio='none' aria-hidden='true'>{''.join(parts)}</svg>"


def _both(run: RunFiles) -> Iterator[tuple[str, ...]]:
    reports = [report for report in (run.strict, run.published) if report]
    scores = [flat_scores(report.evaluation) for report in reports]
    for path, name in headlines(run.given).items():
        cells = [name]
        for report, values in zip(reports, scores, strict=True):
            interval = (report.intervals or {}).get(path) if _subjects(run) >= FEW_SUBJECTS else None
            cells += [show(values[path]), f"[{show(interval.low)}, {show(interval.high)}]" if interval else ""]
        yield tuple(cells)


def subjects_section(run: RunFiles) -> Markup:
    """Counts and F1 of every subject, with the overall F1 as a bar."""
    if run.given:
        return section("subjects", "Subjects", missing(NOTHING_SPOTTED))
    head, *body = subject_table(run.strict.per_subject or {})
    rows = [(*row[:-1], _with_bar(row[-1])) for row in body]
    note = "A subject with nothing to find and nothing found has no F1 (-)."
    return section("subjects", "Subjects", table([head, *rows], "subjects, strict"), paragraph(note))


def _with_bar(cell: str) -> Markup:
    share = 0.0 if cell == "-" else float(cell)
    return Markup(f"{cell}<span class='bar' aria-hidden='true'><i style='width:{100 * share:.0f}%'></i></span>")


def confusion_section(run: RunFiles) -> Markup:
    """Emotions of the expressions that were spotted or given, true against named."""
    title = "Emotions of the labelled intervals" if run.given else "Emotions of what was spotted"
    if not run.confusion.any():
        return section("confusion", title, missing("No expression with an analysed emotion was spotted."))
    head = ("true \\ named", *run.emotions, "none")
    rows: list[tuple[str, ...]] = [head]
    for name, counts in zip(run.emotions, run.confusion.tolist(), strict=True):
        total = max(sum(counts), 1)
        rows.append((name, *(_heat(count, count / total) for count in counts)))
    note = "Rows are the annotated emotion, columns the one the network gave; shades are shares of a row."
    return section("confusion", title, table(rows, title), paragraph(note))


def _heat(count: int, share: float) -> Cell:
    """A count on a shade that is mixed with the background, so that it suits light and dark."""
    colour = f"color-mix(in srgb, var(--c0) {45 * share:.0f}%, transparent)"
    return Cell(f"<td class='heat' style='background:{colour}'>{count} <small class='soft'>{share:.0%}</small></td>")
