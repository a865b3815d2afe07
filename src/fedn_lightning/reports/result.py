"""The numbers of a test as one plain dictionary, the content of `result.json`."""

from __future__ import annotations

from typing import Any

from fedn_lightning.events import EXPRESSION_TYPES, DetectionRecord
from fedn_lightning.metrics.functional.detection import detection_scores
from fedn_lightning.metrics.functional.spotting import spotting_scores
from fedn_lightning.metrics.functional.threshold import at_threshold

PROTOCOL = "megc"
STRICT = "strict"
"""Every choice, here the epoch and the thresholds, was made on validation subjects."""


TEST, VALIDATION = "test", "validation"
"""Whose subjects were scored."""


def result_of(record: DetectionRecord, selection: str = STRICT, split: str = TEST) -> dict[str, Any]:
    """Scores a record by the default protocol.

    Args:
        record: truths, all proposals, and the thresholds from which a proposal counts for spotting.
        selection: how the thresholds were chosen, `strict` or `published`.
        split: whose subjects these are, `test` or `validation`.

    Returns:
        `protocol`, `selection`, `split`, `threshold.{macro,micro}`, `subjects`, `n_videos`, `n_truths`, then
        `spotting.{macro,micro,overall,type_agnostic}.{tp,fp,fn,precision,recall,f1}` and
        `detection.{map@0.5,map@0.3:0.7,map@0.5:0.95,per_class}`, where `per_class` is the average precision at IoU
        0.5 by class name. Undefined numbers are NaN.
    """
    spotting = spotting_scores(at_threshold(record.predictions, record.threshold), record.truths)
    detection = detection_scores(record.predictions, record.truths)
    per_class = {record.emotions[index]: ap for index, ap in detection.per_class().items()}
    return {
        "protocol": PROTOCOL,
        "selection": selection,
        "split": split,
        "threshold": dict(zip(EXPRESSION_TYPES, record.threshold, strict=True)),
        "subjects": list(record.subjects),
        "n_videos": len(record.videos),
        "n_truths": len(record.truths),
        "spotting": spotting.to_dict(),
        "detection": {**detection.summary(), "per_class": per_class},
    }


def flatten(result: dict[str, Any], prefix: str = "") -> dict[str, float]:
    """The numbers of a nested result by joined keys, as a tracker wants them; undefined ones are left out.

    >>> flatten({"spotting": {"micro": {"f1": 0.5}}, "protocol": "megc"}, "test/")
    {'test/spotting/micro/f1': 0.5}
    """
    flat: dict[str, float] = {}
    for key, value in result.items():
        if isinstance(value, dict):
            flat.update(flatten(value, f"{prefix}{key}/"))
        elif isinstance(value, int | float) and value == value:
            flat[f"{prefix}{key}"] = value
    return flat
