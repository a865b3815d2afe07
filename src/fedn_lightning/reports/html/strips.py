"""Film strips of a report: the worst false alarms and misses, truth beside prediction, onset to offset."""

from __future__ import annotations

import html

from fedn_lightning.analysis.errors import ErrorEvent, false_alarms, misses
from fedn_lightning.errors import FednError
from fedn_lightning.events import EXPRESSION_TYPES, EventTable, Video
from fedn_lightning.metrics.functional.matching import UNMATCHED
from fedn_lightning.reports.clips import GAIN, Clips, change, data_uri
from fedn_lightning.reports.html.skeleton import Markup, missing, paragraph, section
from fedn_lightning.reports.html.timelines import moment
from fedn_lightning.results.run_scores import RunFiles
from fedn_lightning.results.writing import whole_frames
from fedn_lightning.video.film_strip import key_frames

KINDS = {
    "duplicate": "a second prediction of one expression",
    "classification": "right time, wrong type",
    "localisation": "right type, wrong ends",
    "both": "wrong ends and wrong type",
    "background": "nothing is annotated here",
    "missed": "no prediction is near it",
}
"""What each kind of error means."""


def strips_section(run: RunFiles, clips: Clips, limit: int) -> Markup:
    """The worst false alarms and misses.

    Args:
        run: whose errors.
        clips: its crops, if there are any.
        limit: of each of the two, at most so many.
    """
    if not clips:
        return section("errors", "Worst errors", missing(clips.reason))
    alarms, missed = false_alarms(run.predicted, run.truths), misses(run.predicted, run.truths, run.proposals)
    parts: list[str] = [paragraph(_explanation(run))]
    for title, errors, order, draw in (
        ("False alarms", alarms, "by descending confidence", _alarm),
        ("Misses", missed, "the least confident first", _miss),
    ):
        shown = f"{min(limit, len(errors))} of {len(errors)}, {order}" if errors else "none"
        parts.append(f"<h3>{title} <span class='soft'>{shown}</span></h3>")
        parts.append(f"<div class='strips'>{''.join(draw(run, clips, each) for each in errors[:limit])}</div>")
    return section("errors", "Worst errors", *parts)


def _explanation(run: RunFiles) -> str:
    apex = "" if run.corpus else " Apexes are not known here: the middle frame stands for them."
    return (
        "Crops at onset, apex and offset, as the network saw them; a prediction has no apex, so its middle frame is "
        f"shown. The fourth picture is the change from onset to apex, amplified {GAIN} times: grey where nothing "
        f"moved.{apex}"
    )


def _alarm(run: RunFiles, clips: Clips, error: ErrorEvent) -> str:
    prediction = _strip(run, clips, "prediction", run.predicted, error.event)
    if error.other == UNMATCHED:
        return _figure(run, error, run.predicted, KINDS[error.kind], prediction)
    truth = _strip(run, clips, "truth", run.truths, error.other)
    return _figure(run, error, run.predicted, f"{KINDS[error.kind]}, IoU {error.iou:.2f}", truth + prediction)


def _miss(run: RunFiles, clips: Clips, error: ErrorEvent) -> str:
    truth = _strip(run, clips, "truth", run.truths, error.event)
    if error.other == UNMATCHED:
        nearest = "<p class='none'>no proposal overlaps it, however faint</p>"
    else:
        nearest = _strip(run, clips, f"nearest proposal, IoU {error.iou:.2f}", run.proposals, error.other)
    return _figure(run, error, run.truths, KINDS[error.kind], truth + nearest)


def _figure(run: RunFiles, error: ErrorEvent, table: EventTable, why: str, content: str) -> str:
    row = error.event
    video = int(table.video[row])
    start, end = float(table.start[row]), float(table.end[row])
    key, seconds = html.escape(run.videos[video].key), start / run.videos[video].fps
    where = f"{key}, <a href='{moment(run, video, start, end)}'>{seconds:.1f} s in the timeline</a>"
    return (
        f"<figure class='strip'><figcaption><b>{describe(run, table, row)}</b> <span class='tag'>{why}</span>"
        f"<span class='soft'>{where}</span></figcaption>{content}</figure>"
    )


def describe(run: RunFiles, table: EventTable, row: int) -> str:
    """Type and emotion of an event."""
    emotion = int(table.emotion[row])
    name = run.emotions[emotion] if emotion >= 0 else "emotion not analysed"
    return f"{EXPRESSION_TYPES[int(table.type[row])]}, {html.escape(name)}"


def _strip(run: RunFiles, clips: Clips, whose: str, table: EventTable, row: int) -> str:
    """Four pictures of an event, under a line that says whose they are."""
    video = run.videos[int(table.video[row])]
    start, end = float(table.start[row]), float(table.end[row])
    emotion = int(table.emotion[row])
    sure = "" if whose == "truth" else f", confidence {table.score[row]:.2f}"
    head = (
        f"<div class='whose'><i class='e{emotion if emotion >= 0 else len(run.emotions)}'></i>{whose}: "
        f"{describe(run, table, row)}{sure}</div>"
    )
    known = apex_of(run, video, start, end) if whose == "truth" else None
    frames = key_frames(start, end, known)
    names = ("onset", "middle" if known is None else "apex", "offset")
    try:
        crops = clips.crops(video, frames)
    except FednError as error:
        return head + f"<p class='none'>{html.escape(str(error))}</p>"
    numbers = [str(whole_frames(frame, frame + 1, video.first_frame)[0]) for frame in frames]
    cells = [
        _picture(data_uri(crop), f"{name} of the {whose}, frame {number}", f"{name} {number}")
        for crop, name, number in zip(crops, names, numbers, strict=True)
    ]
    cells.append(_picture(data_uri(change(crops[0], crops[1])), f"change from onset to {names[1]}", "change"))
    return head + f"<div class='film'>{''.join(cells)}</div>"


def _picture(source: str, description: str, caption: str) -> str:
    name = html.escape(description)
    return f"<div><img src='{source}' alt='{name}' width='112' height='112' loading='lazy'>{html.escape(caption)}</div>"


def apex_of(run: RunFiles, video: Video, start: float, end: float) -> float | None:
    """The annotated apex of a truth; None if it, or the corpus, is not there."""
    if run.corpus is None:
        return None
    for expression in run.corpus.expressions_of(video):
        if (expression.start, expression.end) == (start, end):
            return expression.apex
    return None
