"""The agreement of two coders as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from fedn_lightning.metrics.functional.agreement import Differences
from fedn_lightning.metrics.functional.spotting import SpottingScores, show
from fedn_lightning.reports.console import lines
from fedn_lightning.results.agreement import IOUS, Agreement
from fedn_lightning.results.coded import CodedVideo


def agreement_text(result: Agreement, first: Sequence[CodedVideo], second: Sequence[CodedVideo]) -> str:
    """F1 at several overlaps, kappa per frame, and differences of boundaries."""
    head = [
        ("truth", _who(first)),
        ("predictions", _who(second)),
        ("videos", f"{len(result.videos)} that both coded, {result.minutes:.2f} minutes, {result.n_frames} frames"),
    ]
    parts = ["\n".join(f"{name:<12}{value}" for name, value in head)]
    parts.append("\n".join(lines("events of one type at an overlap (IoU) of at least", list(_f1_rows(result)))))
    kappas = [("kappa", *result.kappas), ("", *(show(value) for value in result.kappas.values()))]
    parts.append("\n".join(lines("frames, agreement beyond chance", kappas)))
    boundaries = [
        ("boundary", "pairs", "mean", "mean size", "SD"),
        *(_boundary(name, getattr(result, name)) for name in ("onset", "offset")),
    ]
    parts.append("\n".join(lines(f"predictions minus truth in ms, pairs at IoU {IOUS[1]:g}", boundaries)))
    same, of = result.same_emotion
    if of:
        parts.append(f"emotions of these pairs: the same in {same} of {of}, kappa {show(result.emotion_kappa)}")
    return "\n\n".join(parts)


def _who(videos: Sequence[CodedVideo]) -> str:
    coders = ", ".join(sorted({video.coder for video in videos if video.coder}))
    count = sum(len(video.events) for video in videos)
    more = f" and {len(videos) - 1} more" if len(videos) > 1 else ""
    return f"{videos[0].source}{more} ({coders + ': ' if coders else ''}{count} events)"


def _f1_rows(result: Agreement) -> Iterator[tuple[str, ...]]:
    yield ("type", *(f"F1@{iou:g}" for iou in IOUS), f"both@{IOUS[1]:g}", "truth alone", "predictions alone")
    for group in SpottingScores.groups():
        counts = getattr(result.spotting[IOUS[1]], group)
        scores = [show(getattr(result.spotting[iou], group).f1) for iou in IOUS]
        yield (group.replace("_", "-"), *scores, str(counts.tp), str(counts.fn), str(counts.fp))


def _boundary(name: str, found: Differences) -> tuple[str, ...]:
    return name, str(found.pairs), *(f"{value:+.0f}" if k == 0 else f"{value:.0f}" for k, value in enumerate(found[1:]))
