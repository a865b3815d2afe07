import math

import numpy as np
import pytest

from fedn_lightning.analysis.run import best_scores, recall_by, wilson
from fedn_lightning.events import EventTable


@pytest.mark.parametrize(("hits", "n"), [(0, 9), (1, 4), (7, 10), (240, 240)])
def test_wilson_bounds_are_the_shares_that_such_a_count_just_does_not_contradict(hits, n):
    for bound in wilson(hits, n):
        if 1e-9 < bound < 1 - 1e-9:
            deviation = abs(hits / n - bound) / math.sqrt(bound * (1 - bound) / n)
            assert deviation == pytest.approx(1.959964, abs=1e-5)
    assert wilson(hits, n)[0] <= hits / n <= wilson(hits, n)[1]


def test_nothing_tried_says_nothing():
    assert wilson(0, 0) == (0.0, 1.0)


def test_the_best_score_is_that_of_the_proposal_that_takes_the_truth():
    truths = EventTable.from_rows([[0, 0, 0, 20, 0, -1, 1], [0, 0, 50, 60, 1, -1, 1]])
    proposals = EventTable.from_rows([[0, 0, 0, 20, 0, -1, 0.2], [0, 0, 1, 20, 0, -1, 0.3], [0, 0, 50, 60, 0, -1, 0.9]])
    assert best_scores(proposals, truths).tolist() == [0.3, 0.0]


def test_groups_count_their_own_truths():
    found = recall_by(["b", "a", "b", "b"], np.array([True, True, False, False]), np.array([0.9, 0.8, 0.3, 0.0]))
    assert [(g.name, g.n, g.hits) for g in found] == [("a", 1, 1), ("b", 3, 1)]
    assert found[1].score == pytest.approx(0.4)
    assert (found[1].low, found[1].high) == wilson(1, 3)
