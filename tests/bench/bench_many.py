"""Times the data module on many short videos with few open files: `python tests/bench/bench_many.py [VIDEOS]`.

Writes 5 000 videos of ten seconds with twenty expressions each into a clip store, and as many of a quarter. Under
`ulimit -n 256` the store is opened, the splits are made, a training batch is read, and the proposals of all videos are
sorted. Exit code 1 if that takes more than 5 s or 1 GiB, or grows faster than the number of videos by more than a half.
"""

import os
import resource
import sys
import tempfile
import time
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy as np
import torch

from fedn_lightning.datamodules.base import CorpusConfig, CropConfig
from fedn_lightning.datamodules.detection import DetectionDataModule
from fedn_lightning.events import Corpus, Expression, Video
from fedn_lightning.tasks.base import Proposals
from support.pulses import write_video

FRAMES, EXPRESSIONS, SUBJECTS = 300, 20, 100


def write_store(folder: Path, count: int) -> Corpus:
    """The clip store, and the corpus that it is of."""
    folder.mkdir()
    os.fsync = lambda handle: None  # these files may be lost
    videos = [Video("many", f"s{i % SUBJECTS}", f"v{i}", "nowhere", 30.0, n_frames=FRAMES) for i in range(count)]
    for video in videos:
        write_video(folder, video, np.zeros((FRAMES, 2, 2, 3), np.uint8))
    expressions = [
        Expression("many", video.subject, video.name, start, start + 12, None, "micro", "happiness")
        for video in videos
        for start in range(0, FRAMES, FRAMES // EXPRESSIONS)
    ]
    return Corpus("many", tuple(videos), tuple(expressions))


def seconds(folder: Path, corpus: Corpus) -> float:
    """Processor time of all that a run does before and after the network."""
    before = time.process_time()
    data = DetectionDataModule(CorpusConfig("csv", "nowhere"), CropConfig(str(folder), size=2), val_subject=20)
    data.corpus = corpus  # in place of reading the tables
    data.setup("fit")
    next(iter(data.train_dataloader()))
    next(iter(data.val_dataloader()))
    proposals = Proposals()
    for number in range(len(corpus.videos)):
        proposals.update(torch.rand(200, 8) + torch.tensor([number, *[0] * 7]))
    proposals.by_video(len(corpus.videos))
    return time.process_time() - before


def main() -> None:
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 5000
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    with tempfile.TemporaryDirectory() as root:
        corpora = {n: write_store(Path(root) / str(n), n) for n in (count // 4, count)}
        times = [seconds(Path(root) / str(n), corpus) for n, corpus in corpora.items()]
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    growth = times[1] / (4 * times[0])
    print(f"{count // 4} and {count} videos: {times[0]:.2f} and {times[1]:.2f} s (target: at most 5)")
    print(f"time per video against a quarter of the videos: {growth:.2f} (target: at most 1.5)")
    print(f"peak memory, with torch: {memory:.0f} MiB (target: at most 1024)")
    if times[1] > 5 or growth > 1.5 or memory > 1024:
        sys.exit("missed")


if __name__ == "__main__":
    main()
