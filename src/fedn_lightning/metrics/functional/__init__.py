"""All the logic of the scores, as functions of plain values."""

from fedn_lightning.metrics.functional.bootstrap import bootstrap_intervals
from fedn_lightning.metrics.functional.detection import detection_scores
from fedn_lightning.metrics.functional.evaluation import evaluate
from fedn_lightning.metrics.functional.matching import interval_iou, match, match_at
from fedn_lightning.metrics.functional.recognition import recognition_scores, strs
from fedn_lightning.metrics.functional.spotting import spotting_scores
from fedn_lightning.metrics.functional.threshold import at_threshold, select_threshold

__all__ = [
    "at_threshold",
    "bootstrap_intervals",
    "detection_scores",
    "evaluate",
    "interval_iou",
    "match",
    "match_at",
    "recognition_scores",
    "select_threshold",
    "spotting_scores",
    "strs",
]
