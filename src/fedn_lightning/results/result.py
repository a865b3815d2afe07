"""The numbers of a test as one plain dictionary, the content of `result.json`."""

from __future__ import annotations

from typing import Any

from fedn_lightning.events import EXPRESSION_TYPES, DetectionRecord
from fedn_lightning.metrics.functional.evaluation import evaluate
from fedn_lightning.results.report import scores_to_dict

STRICT = "strict"
"""Every choice, here the epoch and the thresholds, was made on subjects that are not held out."""


GIVEN = "recognition on labelled intervals: what a recogniser could do if spotting were perfect"
"""What is said of a run whose intervals were given; its spotting scores would be perfect and mean nothing."""

TEST, VALIDATION = "test", "validation"
"""Whose subjects were scored."""


def result_of(record: DetectionRecord, selection: str = STRICT, split: str = TEST) -> dict[str, Any]:
    """Scores a record by the default protocol.

    Args:
        record: truths, all proposals, and the thresholds from which a proposal counts for spotting.
        selection: how the thresholds were chosen, `strict` or `published`.
        split: whose subjects these are, `test` or `validation`.

    Returns:
        `protocol`, `selection`, `split`, `threshold.{macro,micro}`, `subjects`, `n_videos`, `n_truths`, then the
        scores under the keys of `fedn evaluate --json`. Undefined numbers are NaN. `chosen_on` is there if thresholds
        were not chosen on validation subjects. Where the intervals were given, only `recognition` is left of these
        scores, and `scores` has the same by flat names.
    """
    evaluation = evaluate(record.predictions, record.truths, threshold=record.threshold)
    head = {
        "protocol": evaluation.protocol,
        "selection": selection,
        "split": split,
        "threshold": dict(zip(EXPRESSION_TYPES, record.threshold, strict=True)),
        "subjects": list(record.subjects),
        "n_videos": len(record.videos),
        "n_truths": len(record.truths),
    }
    if record.chosen_on != "validation":
        head["chosen_on"] = record.chosen_on
    scores = scores_to_dict(evaluation, record.emotions)
    if record.intervals == "spotted":
        return {**head, **scores}
    groups = {name: evaluation.recognition[name].to_dict() for name in ("overall", *EXPRESSION_TYPES)}
    flat = {f"{group}_{key}": value for group, named in groups.items() for key, value in named.items()}
    return {**head, "intervals": record.intervals, "recognition": scores["recognition"], "scores": flat}


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
