"""Times decoding, preparation and the clip store against their targets: `python tests/bench/bench_store.py [SECONDS]`.

Films a generated face (640x480 H.264, 60 s by default), prepares it, and reads random windows. Exit code 1 if a target
is missed. Processor time is printed beside wall time: on a busy machine the first is the one to compare.
"""

import resource
import shutil
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from fedn_lightning.events import Corpus, Video
from fedn_lightning.video.prepare import prepare
from fedn_lightning.video.readers import DecordSource, open_video
from fedn_lightning.video.store import ClipStore
from fedn_synth.face.motion import FaceTracks
from lookalikes.faces import actor
from lookalikes.movies import write_movie

WINDOW = 128
PICTURES = 60  # rendered once and shown to and fro: rendering is not what is timed
missed = []


def line(what, value, unit, least=None):
    """Prints a figure beside its target."""
    target = "" if least is None else f"  (target: at least {least:g})"
    print(f"{what:<58} {value:>10,.0f} {unit}{target}")
    if least is not None and value < least:
        missed.append(what)


def film(path, seconds):
    """Writes the video: a swaying face with sensor noise."""
    tracks = FaceTracks.neutral(PICTURES)
    tracks.pose[:, 0] = 5 * np.sin(np.arange(PICTURES) / 15)
    face = actor()
    pictures = [face.render(tracks, i, 0) for i in range(PICTURES)]
    to_and_fro = [*range(PICTURES), *range(PICTURES - 2, 0, -1)]
    order = (to_and_fro[i % len(to_and_fro)] for i in range(round(30 * seconds)))
    write_movie(path, (pictures[i] for i in order), options={"preset": "fast", "crf": "20"})
    return round(30 * seconds)


def rates(frames, run):
    """Frames a second by wall time and by processor time of this process."""
    wall, cpu = time.perf_counter(), time.process_time()
    run()
    return frames / (time.perf_counter() - wall), frames / (time.process_time() - cpu)


def windows(source, n_frames, count):
    """Reads random windows."""
    for start in np.random.default_rng(0).integers(0, n_frames - WINDOW, count):
        np.array(source(int(start), int(start) + WINDOW)).sum()


def bench_reading(path, n_frames, store):
    """Random windows from the source and from the store."""
    for reader in ("decord", "pyav"):
        _, cpu = rates(n_frames, lambda r=reader: [None for _ in open_video(path, reader=r).iterate()])
        line(f"{reader}: one pass", cpu, "frames / CPU s")
    source = DecordSource(str(path))
    slow, slow_cpu = rates(8 * WINDOW, lambda: windows(source.frames, n_frames, 8))
    line(f"decord: random windows of {WINDOW}", slow, "frames / s")
    stored = ClipStore(store).video("s1/v")
    fast, fast_cpu = rates(200 * WINDOW, lambda: windows(lambda a, b: stored.frames[a:b], n_frames, 200))
    line(f"store: random windows of {WINDOW}", fast, "frames / s")
    line("store against decord, same window", min(fast / slow, fast_cpu / slow_cpu), "times", least=20)


def bench_preparation(path, n_frames, root):
    """Preparation of two copies on two processes."""
    copies = [path, path.with_name("w.mp4")]
    shutil.copy(*copies)
    corpus = Corpus("toy", tuple(Video("toy", "s1", p.stem, str(p), 30.0, 1, n_frames) for p in copies), ())
    for align in ("track", "video"):
        report = prepare(corpus, root / f"store-{align}", jobs=2, align=align)
        if report.failed:
            sys.exit(str(report.failed))
        phases = ", ".join(f"{name} {1000 * s / report.frames:.2f}" for name, s in report.phases.items())
        busy = report.frames / sum(report.phases.values())
        line(f"prepare, align: {align}, 2 processes", report.frames / report.seconds, "frames / s", least=100)
        print(f"    {busy:.0f} frames / s in each process; ms a frame: {phases}")
    memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    line("peak memory of a preparing process", memory, "MiB")
    if memory > 1024:
        missed.append("memory")


def main():
    cv2.setNumThreads(1)
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        n_frames = film(root / "v.mp4", seconds)
        bench_preparation(root / "v.mp4", n_frames, root)
        bench_reading(root / "v.mp4", n_frames, root / "store-video")
    if missed:
        sys.exit(f"missed: {', '.join(missed)}")


if __name__ == "__main__":  # child processes import this file
    main()
