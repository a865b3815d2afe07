"""Computes the metric classes in two real processes over gloo."""

import pickle

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from fedn_lightning.metrics.classes import DetectionMeanAP, SpotThenRecogniseScore, SpottingF1
from metrics.random_events import realistic


def spotting():
    return SpottingF1(threshold=0.3)


def detection():
    return DetectionMeanAP(["negative", "positive", "surprise", "unseen"])


def recognition():
    return SpotThenRecogniseScore(threshold=0.3)


METRICS = (spotting, detection, recognition)
SHARES = (((0, 1, 2, 3), (4, 5)), (range(6), ()))  # uneven, and one process with nothing at all


def videos(which):
    """Updates of the asked videos; video 3 has no prediction, video 4 no truth."""
    rng = np.random.default_rng(11)
    truths = realistic(rng, 6, 5)
    found = realistic(rng, 6, 20, near=truths)
    for video in which:
        rows = [torch.from_numpy(table[table.video == video].to_rows()) for table in (found, truths)]
        yield rows[0][: 0 if video == 3 else None], rows[1][: 0 if video == 4 else None]


def _work(rank, folder):
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    results = []
    for share in SHARES:
        values = {}
        for make in METRICS:
            metric = make()
            for predictions, truths in videos(share[rank]):
                metric.update(predictions, truths)
            values[type(metric).__name__] = {k: v.item() for k, v in metric.compute().items()}
            assert metric._is_synced is False  # the process keeps its own rows
        results.append(values)
    dist.destroy_process_group()
    with open(f"{folder}/{rank}.pickle", "wb") as stream:  # noqa: PTH123
        pickle.dump(results, stream)


def run_two_processes(folder):
    """For each of :data:`SHARES` the values computed by both processes."""
    # Forked: two fresh interpreters would import torch and lightning anew, most of the test's time.
    mp.start_processes(_work, args=(str(folder),), nprocs=2, start_method="fork")
    ranks = [pickle.loads((folder / f"{rank}.pickle").read_bytes()) for rank in range(2)]
    return list(zip(*ranks, strict=True))
