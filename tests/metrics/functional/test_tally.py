"""Subjects' shares of the scores: nobody is left out, and weights of one give the plain scores."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from fedn_lightning.metrics.functional.detection import detection_scores
from fedn_lightning.metrics.functional.tally import tally, weighted_scores
from metrics.random_events import events, table


@settings(max_examples=100, deadline=None)
@given(events(), events(truth=True))
def test_proposals_of_subjects_who_claim_nothing_count_as_false_detections(found, truths) -> None:
    proposals, true = table(found), table(truths)
    counted = tally(proposals[proposals.score > 0.5], true, proposals=proposals)
    mine = weighted_scores(counted, np.ones(len(counted.subjects.index), np.int64))["detection.map@0.5"]
    assert mine == pytest.approx(detection_scores(proposals, true).mean([0.5]), nan_ok=True)
