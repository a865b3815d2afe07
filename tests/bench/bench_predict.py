"""Times `fedn predict` and its memory: `bench_predict.py [MINUTES [ALIGN [WIDTHxHEIGHT [CHECKPOINT]]]]`.

Films a generated face (640x480 H.264, 30 fps, 10 minutes by default) and runs the detector on it with a network of the
size of experiments/synthetic.yaml and random weights, or CHECKPOINT; the alignment is `video` by default, or `track`.
Exit code 1 if fewer than 60 frames a second are done or all processes together take more than 1.5 GiB (PSS, so that
shared pages count once). To compare memory, run it with 10 and with 60: the two peaks should differ by less than 5 %.
"""

import dataclasses
import os
import resource
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import av
import cv2
import numpy as np
import torch

from fedn_lightning.datamodules.labels import CLASSES
from fedn_lightning.inference.detector import Detector
from fedn_lightning.models.encoder import EncoderConfig, FrameEncoder
from fedn_lightning.models.fedn import FEDN, NetworkConfig
from fedn_lightning.models.postprocessing import InferenceConfig
from fedn_synth.face.motion import FaceTracks
from lookalikes.faces import actor
from lookalikes.movies import write_movie

LEAST_FPS, MOST_MIB = 60, 1536
PICTURES = 60  # rendered once and shown to and fro: rendering is not what is timed


def film(path, minutes, size=(640, 480)):
    """Writes the video: a swaying face. It is encoded once, to and fro, and its packets are repeated."""
    tracks = FaceTracks.neutral(PICTURES)
    tracks.pose[:, 0] = 5 * np.sin(np.arange(PICTURES) / 15)
    face = actor()
    pictures = [face.render(tracks, i, 0) for i in range(PICTURES)]
    order = [*range(PICTURES), *range(PICTURES - 2, 0, -1)]
    once = path.with_suffix(".once.mp4")
    write_movie(once, (cv2.resize(pictures[i], size) for i in order), options={"preset": "veryfast"})
    with av.open(str(path), "w") as whole:
        for turn in range(max(1, round(1800 * minutes / len(order)))):
            with av.open(str(once)) as part:
                source = part.streams.video[0]
                stream = whole.streams.video[0] if turn else whole.add_stream_from_template(source)
                for packet in part.demux(source):
                    if packet.size:
                        packet.pts += turn * source.duration
                        packet.dts += turn * source.duration
                        packet.stream = stream
                        whole.mux(packet)


def write_checkpoint(path, align):
    """Writes an untrained detector of the size of experiments/synthetic.yaml."""
    encoder, network = EncoderConfig(10, 32, grid=2), NetworkConfig(dim=128, channels=128)
    parts = {"encoder": FrameEncoder(10, 32, 2), "network": FEDN(32 * 8 * 4, 3, network)}
    state = {f"{name}.{key}": value for name, part in parts.items() for key, value in part.state_dict().items()}
    recipe = {"encoder": encoder, "network": network, "inference": InferenceConfig()}
    told = {
        "model": {name: dataclasses.asdict(config) for name, config in recipe.items()} | {"recognise": True},
        "windows": {"length": 128, "test_stride": 16},
        "crop_size": 128,
        "fps": 30.0,
        "alignment": {"align": align, "finder": "cascade"},
        "emotions": list(CLASSES["3"]),
        "dataset": "generated",
    }
    torch.save({"state_dict": state | {"threshold": torch.full((2,), 0.5)}, "fedn": told}, path)


class Memory(threading.Thread):
    """Watches the proportional memory of this process and its children."""

    def __init__(self):
        super().__init__(daemon=True)
        self.peak, self.at_peak, self.stop = 0.0, {}, threading.Event()

    def run(self):
        while not self.stop.wait(1.0):  # the kernel takes some 10 ms for each answer
            found = {pid: pss(pid) for pid in (os.getpid(), *children())}
            if sum(found.values()) > self.peak:
                self.peak, self.at_peak = sum(found.values()), found


def children():
    """Processes that this one has started."""
    found = []
    for task in Path("/proc/self/task").iterdir():
        found += (task / "children").read_text().split()
    return map(int, found)


def pss(pid):
    """Proportional memory in MiB; 0 if the process has ended."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def main():
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 10.0
    align = sys.argv[2] if len(sys.argv) > 2 else "video"
    size = tuple(map(int, sys.argv[3].split("x"))) if len(sys.argv) > 3 else (640, 480)
    torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) - 1))
    with tempfile.TemporaryDirectory() as folder:
        video, checkpoint = Path(folder) / "long.mp4", Path(folder) / "best.ckpt"
        film(video, minutes, size)
        if len(sys.argv) > 4:
            checkpoint = Path(sys.argv[4])
        else:
            write_checkpoint(checkpoint, align)
        memory = Memory()
        memory.start()
        started, busy = time.perf_counter(), time.process_time()
        detections = Detector.from_checkpoint(checkpoint, "cpu", align).detect(video)
        seconds, busy = time.perf_counter() - started, time.process_time() - busy
        detections.plot()
        memory.stop.set()
        memory.join()
    frames = detections.n_frames
    rate = frames / seconds
    print(f"{minutes:g} minutes, {frames} frames, align: {align}, {torch.get_num_threads()} thread(s)")
    print(f"frames / s (wall)                 {rate:8.1f}  (target: at least {LEAST_FPS})")
    print(f"peak memory of all processes, MiB {memory.peak:8.0f}  (target: at most {MOST_MIB})")
    print("  of each at that time: " + ", ".join(f"{value:.0f}" for value in memory.at_peak.values()))
    print(
        "ms a frame, wall, by phase: "
        + ", ".join(f"{k} {1000 * s / frames:.2f}" for k, s in detections.seconds.items())
    )
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    decoding = usage.ru_utime + usage.ru_stime
    print(
        f"processor time, ms a frame: network {1000 * busy / frames:.2f}, decoding {1000 * decoding / frames:.2f}; "
        f"two cores can do {2 * frames / (busy + decoding):.0f} frames a second"
    )
    if rate < LEAST_FPS or memory.peak > MOST_MIB:
        sys.exit("missed")


if __name__ == "__main__":
    main()
