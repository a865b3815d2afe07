"""Measures what a GPU does, in less than ten minutes: `python tests/bench/bench_gpu.py [--tiny]`.

Prints one table with the name of the chip: products of matrices, the frame encoder, the detector and a training step at
the paper's size, each in float32, in bfloat16 and compiled, and `fedn predict` on a 640x480 video with the share of the
time in which the networks work. `--tiny` tries it in small, also without a GPU; those numbers mean nothing.
"""

from __future__ import annotations

import contextlib
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import torch
from bench_predict import film, write_checkpoint
from torch import nn

from fedn_lightning.inference.detector import Detector
from fedn_lightning.models.encoder import FrameEncoder
from fedn_lightning.models.fedn import FEDN, NetworkConfig

TINY = "--tiny" in sys.argv
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
SECONDS = 0.2 if TINY else 3.0
LIMIT = 540.0  # what is left out after so many seconds is named
WINDOW = 128


def seconds(run: Callable[[], object]) -> float:
    """Median seconds of a call, after three that warm it up."""
    for _ in range(3):
        run()
    found: list[float] = []
    began = time.perf_counter()
    while len(found) < 3 or (time.perf_counter() - began < SECONDS and len(found) < 200):
        before = time.perf_counter()
        run()
        if DEVICE.type == "cuda":
            torch.cuda.synchronize()
        found.append(time.perf_counter() - before)
    return statistics.median(found)


def ways(network: nn.Module, count: int) -> dict[str, tuple[nn.Module, bool]]:
    """A network as it is, in bfloat16, and compiled in bfloat16: for one size, since compiling takes a minute."""
    compiled = {"bf16, compiled": (torch.compile(network), True)} if count in (32, 512) else {}
    return {"fp32": (network, False), "bf16": (network, True), **compiled}  # type: ignore[dict-item]


def half(enabled: bool) -> contextlib.AbstractContextManager[object]:
    return torch.autocast(DEVICE.type, torch.bfloat16, enabled=enabled)


def products() -> None:
    side = 512 if TINY else 8192
    for dtype in (torch.float32, torch.bfloat16):
        a, b = (torch.randn(side, side, device=DEVICE, dtype=dtype) for _ in range(2))
        print(f"products of {side} x {side}, {dtype}: {2e-12 * side**3 / seconds(lambda a=a, b=b: a @ b):.1f} TFLOP/s")


@torch.no_grad()
def encoder() -> None:
    network = FrameEncoder(10, 8) if TINY else FrameEncoder(18, 64)
    network = network.eval().to(DEVICE, memory_format=torch.channels_last)
    for count in (8,) if TINY else (128, 512, 2048):
        frames = torch.randint(0, 255, (count, 3, 112, 112), dtype=torch.uint8, device=DEVICE)
        for name, (way, bf16) in ways(network, count).items():
            with half(bf16):
                rate = count / seconds(lambda way=way, frames=frames: way(frames))
            print(f"encoder, {count} frames at once, {name}: {rate:,.0f} frames/s")


def paper() -> FEDN:
    config = NetworkConfig(dim=32, channels=32) if TINY else NetworkConfig()
    return FEDN(512, 3, config).to(DEVICE)


@torch.no_grad()
def detector() -> None:
    network = paper().eval()
    for count in (1, 2) if TINY else (1, 32, 256):
        features = torch.randn(count, WINDOW, 512, device=DEVICE)
        for name, (way, bf16) in ways(network, count).items():
            with half(bf16):
                took = seconds(lambda way=way, features=features: way(features))
            print(f"detector, {count} windows, {name}: {1000 * took:.2f} ms, {16 * count / took:,.0f} frames/s")
        shared = torch.randn(16 * (count - 1) + WINDOW, 512, device=DEVICE)
        rows = torch.arange(count, device=DEVICE)[:, None] * 16 + torch.arange(WINDOW, device=DEVICE)
        parts = [(shared[r[0, 0] : r[-1, -1] + 1], r - r[0, 0]) for r in rows.split(32)]
        took = seconds(lambda parts=parts: [network.detect(*part) for part in parts])
        print(f"the same, sharing frames, fp32: {1000 * took:.2f} ms, {16 * count / took:,.0f} frames/s")


def training_step() -> None:
    network, count = paper(), 2 if TINY else 32
    features = torch.randn(count, WINDOW, 512, device=DEVICE)
    optimiser = torch.optim.AdamW(network.parameters(), fused=DEVICE.type == "cuda")
    for name, (way, bf16) in ways(network, count).items():

        def step(way: nn.Module = way, bf16: bool = bf16) -> None:
            with half(bf16):
                loss = sum(part.float().square().mean() for part in way(features))
            loss.backward()  # type: ignore[union-attr]
            optimiser.step()
            optimiser.zero_grad()

        print(f"training step, {count} windows, {name}: {1000 * seconds(step):.2f} ms")
    if DEVICE.type == "cuda":
        print(f"peak memory: {torch.cuda.max_memory_allocated() / 2**30:.2f} GiB")


def predict() -> None:
    with tempfile.TemporaryDirectory() as folder:
        video, checkpoint = Path(folder) / "video.mp4", Path(folder) / "best.ckpt"
        film(video, 0.1 if TINY else 1)
        write_checkpoint(checkpoint, "video")
        found = Detector.from_checkpoint(checkpoint, DEVICE.type)  # type: ignore[arg-type]
        found.detect(video)
        began = time.perf_counter()
        detections = found.detect(video)
        took = time.perf_counter() - began
    busy = sum(found.networks.seconds.values())
    print(
        f"fedn predict, 640x480: {detections.n_frames / took:,.0f} frames/s, networks at work {busy / took:.0%} of it"
    )


def main() -> None:
    name = torch.cuda.get_device_name() if DEVICE.type == "cuda" else "no GPU"
    print(f"{name}; {len(os.sched_getaffinity(0))} cores; torch {torch.__version__}{'; tiny' * TINY}")
    began = time.perf_counter()
    for part in (products, encoder, detector, training_step, predict):
        if time.perf_counter() - began > LIMIT:
            print(f"left out, no time: {part.__name__}")
            continue
        part()
    print(f"{time.perf_counter() - began:.0f} s")


if __name__ == "__main__":
    main()
