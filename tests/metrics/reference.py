"""The evaluation protocols a second time: plain loops over plain tuples, written from the rules alone.

It shares nothing with the package but the meaning of the columns, uses exact fractions, and matches anew for every
threshold, so that it is slow and easy to check by eye.
"""

import math
from fractions import Fraction
from typing import NamedTuple


class Event(NamedTuple):
    """An event with *inclusive* frames, as the field writes it."""

    subject: int
    video: int
    onset: float
    offset: float
    type: int
    emotion: int
    score: float = 1.0


def iou(a, b):
    shared = Fraction(min(a.offset, b.offset)) - Fraction(max(a.onset, b.onset)) + 1
    if shared <= 0:
        return Fraction(0)
    return shared / (
        (Fraction(a.offset) - Fraction(a.onset) + 1) + (Fraction(b.offset) - Fraction(b.onset) + 1) - shared
    )


def match(predictions, truths, threshold, agree):
    """List of (prediction index, truth index)."""
    order = sorted(
        range(len(predictions)), key=lambda i: (-predictions[i].score, predictions[i].onset, predictions[i].offset, i)
    )
    free = set(range(len(truths)))
    hits = []
    for i in order:
        best = None
        for j in sorted(free, key=lambda j: (truths[j].onset, truths[j].offset, j)):
            if agree(predictions[i], truths[j]):
                value = iou(predictions[i], truths[j])
                if value >= Fraction(str(threshold)) and (best is None or value > best[0]):
                    best = (value, j)
        if best is not None:
            free.remove(best[1])
            hits.append((i, best[1]))
    return hits


def same_video(p, t):
    return p.video == t.video


def same_video_and_type(p, t):
    return p.video == t.video and p.type == t.type


def counts(predictions, truths, hits):
    return len(hits), len(predictions) - len(hits), len(truths) - len(hits)


def spotting(predictions, truths, rule):
    """Counts by group; the rule gives (tp, fp, fn) of one pool."""
    pools = [[[e for e in side if e.type == kind] for side in (predictions, truths)] for kind in (0, 1)]
    macro, micro = (rule(*pool) for pool in pools)
    overall = tuple(a + b for a, b in zip(macro, micro, strict=True))
    return {"macro": macro, "micro": micro, "overall": overall, "type_agnostic": rule(predictions, truths)}


def megc(predictions, truths):
    return counts(predictions, truths, match(predictions, truths, 0.5, same_video))


def megc2020(predictions, truths):
    hit = 0
    for t in truths:
        for p in predictions:
            one_frame = p.offset == p.onset or t.offset == t.onset
            if same_video(p, t) and not one_frame and iou(p, t) >= Fraction(1, 2):
                hit += 1
                break
    return hit, len(predictions) - hit, len(truths) - hit


def strs_metric(predictions, truths):
    tp = fp = fn = 0
    for subject in {p.subject for p in predictions}:
        for video in {t.video for t in truths if t.subject == subject}:
            taken = set()
            for p in predictions:
                if p.subject == subject and p.video == video:
                    found = False
                    for j, t in enumerate(truths):
                        if t.subject == subject and t.video == video and j not in taken and iou(p, t) >= Fraction(1, 2):
                            taken.add(j)
                            found = True
                            tp += 1
                    fp += not found
            fn += sum(t.subject == subject and t.video == video for t in truths) - len(taken)
    return tp, fp, fn


def exclusive(predictions, truths):
    def value(p, t):
        shared = Fraction(min(p.offset, t.offset)) - Fraction(max(p.onset, t.onset))
        if shared <= 0:
            return Fraction(0)
        return shared / (Fraction(p.offset) - Fraction(p.onset) + Fraction(t.offset) - Fraction(t.onset) - shared)

    free = set(range(len(truths)))
    hits = 0
    for p in sorted(predictions, key=lambda p: (-p.score, p.onset, p.offset)):
        candidates = [
            (-value(p, truths[j]), truths[j].onset, truths[j].offset, j)
            for j in free
            if same_video(p, truths[j]) and value(p, truths[j]) > Fraction(1, 2)
        ]
        if candidates:
            free.remove(min(candidates)[3])
            hits += 1
    return hits, len(predictions) - hits, len(truths) - hits


RULES = {"megc": megc, "megc2020": megc2020, "strs_metric": strs_metric, "exclusive": exclusive}


def f1(tp, fp, fn):
    return 2 * tp / (2 * tp + fp + fn) if tp + fp + fn else math.nan


def average_precision(predictions, truths, threshold):
    """One class: an operating point for every distinct score, each matched from scratch."""
    points = []
    for least in sorted({p.score for p in predictions}, reverse=True):
        kept = [p for p in predictions if p.score >= least]
        tp, fp, _ = counts(kept, truths, match(kept, truths, threshold, same_video))
        points.append((tp / len(truths), tp / (tp + fp)))
    area, before = 0.0, 0.0
    for k, (recall, _) in enumerate(points):
        area += (recall - before) * max(precision for _, precision in points[k:])
        before = recall
    return area


def average_precisions(predictions, truths, threshold):
    """By emotion of the truth; nothing where predictions name no emotion at all."""
    if predictions and all(p.emotion < 0 for p in predictions):
        return {}
    return {
        emotion: average_precision(
            [p for p in predictions if p.emotion == emotion], [t for t in truths if t.emotion == emotion], threshold
        )
        for emotion in sorted({t.emotion for t in truths if t.emotion >= 0})
    }


def recognition(predictions, truths, hits):
    """(F1_analysis, UF1, UAR) of the spotted pairs."""
    pairs = [(predictions[i].emotion, truths[j].emotion) for i, j in hits if truths[j].emotion >= 0]
    if all(said < 0 for said, _ in pairs):
        return (math.nan,) * 3
    precisions, recalls, f1s = [], [], []
    for emotion in sorted({true for _, true in pairs}):
        tp = sum(said == emotion and true == emotion for said, true in pairs)
        said_it = sum(said == emotion for said, _ in pairs)
        is_it = sum(true == emotion for _, true in pairs)
        precisions.append(tp / said_it if said_it else 0)
        recalls.append(tp / is_it)
        f1s.append(2 * tp / (said_it + is_it))
    n = len(f1s)
    p, r = sum(precisions) / n, sum(recalls) / n
    return (2 * p * r / (p + r) if p + r else 0), sum(f1s) / n, r


def best_thresholds(predictions, truths, agree=same_video_and_type):
    """The greatest F1 and the gaps (low, high] of thresholds that reach it; low is None below the lowest score."""
    scores = sorted({p.score for p in predictions}, reverse=True)
    gaps = []
    for k, high in enumerate(scores):
        kept = [p for p in predictions if p.score >= high]
        value = f1(*counts(kept, truths, match(kept, truths, 0.5, agree)))
        gaps.append((value, scores[k + 1] if k + 1 < len(scores) else None, high))
    top = max((value for value, _, _ in gaps), default=0.0)
    return top, [(low, high) for value, low, high in gaps if value == top]


def nms(start, end, score, threshold, keep):
    left = sorted(range(len(score)), key=lambda i: (-score[i], i))
    kept = []
    while left and len(kept) < keep:
        pick = left.pop(0)
        kept.append(pick)
        left = [i for i in left if overlap(start, end, i, pick) <= threshold]
    return kept


def overlap(start, end, i, j):
    shared = min(end[i], end[j]) - max(start[i], start[j])
    return shared / (max(end[i], end[j]) - min(start[i], start[j])) if shared > 0 else 0.0
