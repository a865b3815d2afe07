import copy
import math
import pickle

import numpy as np
import pytest
import torch

from fedn_lightning.events import EventTable
from fedn_lightning.metrics.classes import DetectionMeanAP, SpotThenRecogniseScore, SpottingF1
from fedn_lightning.metrics.functional.detection import detection_scores
from fedn_lightning.metrics.functional.spotting import spotting_scores
from fedn_lightning.metrics.functional.threshold import at_threshold
from metrics.random_events import realistic
from metrics.two_processes import METRICS, run_two_processes, videos


def filled(make, which):
    metric = make()
    for predictions, truths in videos(which):
        metric.update(predictions, truths)
    return metric


def same(a, b):
    assert a.keys() == b.keys()
    for key in a:
        torch.testing.assert_close(a[key], b[key], rtol=0, atol=0, equal_nan=True)


@pytest.mark.parametrize("make", METRICS)
def test_updates_in_any_order_and_merged_states_give_one_result(make):
    whole = filled(make, range(6)).compute()
    same(filled(make, [4, 2, 5, 0, 1, 3]).compute(), whole)
    merged = filled(make, range(2))
    merged.merge_state(filled(make, range(2, 6)))
    same(merged.compute(), whole)


@pytest.mark.parametrize("make", METRICS)
def test_a_call_scores_its_own_videos_and_keeps_them(make):
    metric = make()
    for which, rows in zip(range(3), videos(range(3)), strict=True):
        same(metric(*rows), filled(make, [which]).compute())
    same(metric.compute(), filled(make, range(3)).compute())


@pytest.mark.filterwarnings("ignore:.*before the.*")
@pytest.mark.parametrize("make", METRICS)
def test_pickle_clone_and_reset(make):
    metric = filled(make, range(6))
    expected = metric.compute()
    same(pickle.loads(pickle.dumps(metric)).compute(), expected)
    same(copy.deepcopy(metric).compute(), expected)
    metric.reset()
    assert all(math.isnan(v) for k, v in metric.compute().items() if not k.endswith(("tp", "fp", "fn")))
    metric.update(*next(iter(videos([0]))))
    same(metric.compute(), filled(make, [0]).compute())


@pytest.mark.parametrize("make", METRICS)
def test_a_metric_never_updated_is_undefined(make):
    with pytest.warns(UserWarning, match="before the"):
        values = make().compute()
    assert all(math.isnan(v) for k, v in values.items() if not k.endswith(("tp", "fp", "fn")))


@pytest.mark.filterwarnings("ignore:.*before the.*")
def test_two_processes_give_what_one_gives(tmp_path):
    uneven, with_an_idle_one = run_two_processes(tmp_path)
    for make in METRICS:
        name = make().__class__.__name__
        whole = {k: v.item() for k, v in filled(make, range(6)).compute().items()}
        for both in (uneven, with_an_idle_one):
            for values in both:
                assert values[name] == pytest.approx(whole, rel=0, abs=0, nan_ok=True)


def test_classes_only_hold_state():
    rng = np.random.default_rng(5)
    truths = realistic(rng, 10, 6)
    found = realistic(rng, 10, 30, near=truths)
    spotting, detection = SpottingF1((0.4, 0.6)), DetectionMeanAP(["a", "b", "c"])
    for metric in (spotting, detection):
        metric.update(torch.from_numpy(found.to_rows()), torch.from_numpy(truths.to_rows()))
    assert spotting.scores() == spotting_scores(at_threshold(found, (0.4, 0.6)), truths)
    assert detection.compute()["map@0.5:0.95"] == detection_scores(found, truths).summary()["map@0.5:0.95"]


def test_seven_columns_mean_full_confidence_in_the_emotion():
    seven = torch.tensor([[0, 0, 0, 10, 0, 1, 0.9]])
    metric = DetectionMeanAP()
    metric.update(seven, seven)
    assert metric.tables()[0].emotion_score.tolist() == [1.0]


def test_a_video_given_twice_is_refused():
    metric = SpottingF1()
    row = torch.tensor([[0, 3, 0, 10, 0, 1, 0.9]])
    metric.update(row, row)
    metric.update(row, row[:0])
    with pytest.raises(ValueError, match="Video 3 came in 2 updates"):
        metric.compute()


@pytest.mark.parametrize("shape", [(3,), (2, 6), (2, 10), (1, 2, 8)])
def test_another_shape_is_refused(shape):
    with pytest.raises(ValueError, match="must have the shape"):
        SpottingF1().update(torch.zeros(shape), torch.zeros(0, len(EventTable.COLUMNS)))


def test_states_keep_double_precision():
    frame = 16_777_217.0  # the first integer that float32 cannot hold
    row = torch.tensor([[0, 0, frame, frame + 10, 0, 0, 1.0]], dtype=torch.float64)
    metric = SpottingF1().half()
    metric.update(row, row)
    assert metric.tables()[0].start[0] == frame


def test_an_unknown_protocol_is_refused():
    with pytest.raises(KeyError, match="megc1999"):
        SpotThenRecogniseScore(protocol="megc1999")
