"""Times the evaluator against its targets: `python tests/bench/bench_metrics.py`.

Each line is the best of several runs on one core. Exit code 1 if a target is missed.
"""

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from fedn_lightning.metrics.functional.bootstrap import bootstrap_intervals
from fedn_lightning.metrics.functional.detection import FINE, detection_scores
from fedn_lightning.metrics.functional.matching import match
from fedn_lightning.metrics.functional.spotting import spotting_scores
from fedn_lightning.metrics.functional.threshold import select_threshold
from fedn_lightning.models.postprocessing import nms
from metrics.random_events import realistic

missed = []


def milliseconds(run, repeats=9):
    """Least processor time of a call: what it costs when nothing else runs."""
    times = []
    for _ in range(repeats):
        before = time.process_time()
        run()
        times.append(1000 * (time.process_time() - before))
    return min(times)


def line(what, value, target=None):
    """Prints a figure beside its target."""
    if target is not None and value > target:
        missed.append(what)
    print(f"{what:<78}{value:>9.1f} ms" + (f"   target {target} ms" if target else ""))


def scores():
    """The metrics on sets of published sizes."""
    rng = np.random.default_rng(0)
    truths = realistic(rng, 100, 20, classes=8)
    for name, near in (("at random", None), ("near the truths", truths)):
        found = realistic(rng, 100, 200, classes=8, near=near)
        what = f"mAP, 10 thresholds, 100 videos x 200 predictions ({name}) x 20 truths, 8 classes"
        line(what, milliseconds(lambda found=found: detection_scores(found, truths, FINE)), 50)
    truths = realistic(rng, 97, 4)
    found = realistic(rng, 97, 8, near=truths)
    line(
        "spotting counts of a CAS(ME)^2 LOSO: 97 videos, 776 predictions",
        milliseconds(lambda: spotting_scores(found, truths)),
        50,
    )
    proposals = realistic(rng, 97, 200, near=truths)
    line("spotting counts, all 19 400 proposals", milliseconds(lambda: spotting_scores(proposals, truths)), 50)
    line("threshold selection over 19 400 proposals", milliseconds(lambda: select_threshold(proposals, truths)))
    line("bootstrap, 1 000 draws, 776 predictions", milliseconds(lambda: bootstrap_intervals(found, truths), 3))


def growth():
    """One video with more and more predictions: the cost per prediction should grow like log n."""
    rng = np.random.default_rng(1)
    truths = realistic(rng, 1, 20)
    for n in (1_000, 10_000, 100_000, 1_000_000):
        found = realistic(rng, 1, n)
        line(
            f"matching {n:>9,} predictions of one video with 20 truths",
            milliseconds(lambda found=found: match(found, truths), 3),
        )


def suppression():
    """20 000 proposals of one video, 200 kept."""
    rng = np.random.default_rng(2)
    for n_frames in (1_000, 4_000, 20_000):
        start = rng.integers(0, n_frames, 20_000).astype(float)
        found = start, start + rng.integers(4, 118, 20_000), rng.random(20_000)
        line(f"NMS, 20 000 proposals over {n_frames} frames", milliseconds(lambda found=found: nms(*found)), 15)


def million_rows():
    """`fedn evaluate` on a CSV of a million predictions, in a process of its own."""
    rng = np.random.default_rng(3)
    truths = realistic(rng, 97, 4)
    found = realistic(rng, 97, 10_310)
    with tempfile.TemporaryDirectory() as folder:
        for name, table in (("P", found), ("T", truths)):
            with (Path(folder) / f"{name}.csv").open("w") as stream:
                stream.write("subject,video,onset,offset,type,emotion,score\n")
                for s, v, a, b, kind, emotion, score, _ in table.to_rows():
                    frames = f"{a + 1:.0f},{b:.0f},{('macro', 'micro')[int(kind)]}"
                    stream.write(f"s{s:.0f},v{v:.0f},{frames},e{emotion:.0f},{score}\n")
        command = ["evaluate", "--predictions", f"{folder}/P.csv", "--truth", f"{folder}/T.csv", "--json"]
        subprocess.run([sys.executable, "-m", "fedn_lightning", *command], check=True, stdout=subprocess.DEVNULL)
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    line(f"fedn evaluate, {len(found):,} rows", 1000 * (used.ru_utime + used.ru_stime))
    print(f"  its peak memory: {used.ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    scores()
    growth()
    suppression()
    million_rows()
    sys.exit(f"missed: {', '.join(missed)}" if missed else 0)
