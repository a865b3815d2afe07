"""Prints ratios of speeds that mean something on any machine: `make bench`, or this script with names of ratios.

Both sides of a ratio run in turns in one process on one thread. Processor time is taken, so that other work on the
machine disturbs little; a ratio is the median over rounds. A ratio above 1 says that ours is the faster. The script
compares with tests/bench/baseline.json and ends with 1 if a ratio fell by more than a fifth; `--save` writes that file.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import av
import cv2
import numpy as np
import torch
from actionformer import ActionFormer

from fedn_lightning.datamodules.windows import WindowConfig, window_starts
from fedn_lightning.metrics.functional.detection import FINE, detection_scores
from fedn_lightning.models.encoder import FrameEncoder, encode_crops, folded
from fedn_lightning.models.fedn import FEDN, NetworkConfig
from fedn_lightning.models.postprocessing import InferenceConfig, events_of_video, nms, propose
from fedn_lightning.models.precision import OneDnnProducts, Precision
from fedn_lightning.video.alignment import box_transform, crop
from fedn_lightning.video.pyav import PyAVSource
from lookalikes.movies import write_movie
from metrics.random_events import realistic

BASELINE = Path(__file__).parent / "baseline.json"
FALL = 0.8
WINDOW, STRIDE = 128, 16
LONG_WINDOW, LONG_STRIDE = 1024, 896
"""Windows of a network with a reach."""
TOGETHER = 4096
"""Frames of the windows that a network sees at once."""
Run = Callable[[], object]
Pair = tuple[Run, Run]
"""Ours, and what it is compared with."""


def detector(network: FEDN, steps: int, together: bool = True, precision: Precision = "fp32") -> Run:
    """FEDN over a video of `2 * steps` frames, as `fedn predict` runs it: windows, proposals, merging."""
    frames, windows = 2 * steps, WindowConfig(WINDOW, test_stride=STRIDE)
    if network.config.reach is not None:
        windows = WindowConfig(WINDOW, test_stride=LONG_STRIDE, test_length=LONG_WINDOW)
    features, length = torch.randn(frames, network.input_dim), windows.tested
    anchors, count = network.anchors(length), windows.proposals(50)
    rows = torch.tensor(window_starts(frames, length, windows.test_stride))[:, None] + torch.arange(length)

    def run() -> object:
        tables = []
        for part in rows.split(TOGETHER // length):
            first, zeros = int(part[0, 0]), torch.zeros(len(part), dtype=torch.float64)
            span = features[first : int(part[-1, -1]) + 1]
            output = network.detect(span, part - first, precision) if together else network(features[part])
            tables.append(propose(output, anchors, zeros, part[:, 0].double(), zeros + 1, count))
        return events_of_video(torch.cat(tables).numpy(), frames, InferenceConfig(), length)

    return run


def action_former(steps: int) -> Run:
    """ActionFormer of FEDN's width at one step for every two frames, with suppression."""
    network, features = ActionFormer(512, 512, 3).eval(), torch.randn(1, 512, steps)

    def run() -> object:
        start, end, score = network(features)
        best = score.topk(min(2000, len(score))).indices
        return nms(start[best], end[best], score[best])

    return run


def paper(**variant: object) -> FEDN:
    """FEDN at the paper's size, with random weights."""
    return FEDN(512, 3, NetworkConfig(**variant)).eval()  # type: ignore[arg-type]


def training_step(network: FEDN) -> Run:
    """Forward and backward of 32 windows."""
    features = torch.randn(32, WINDOW, network.input_dim)

    @torch.enable_grad()
    def run() -> None:
        sum(part.square().mean() for part in network(features)).backward()  # type: ignore[union-attr]
        network.zero_grad()

    return run


def matrix_product(flop: float, dtype: torch.dtype) -> Run:
    """A product of square matrices of that many floating-point operations, what the machine does best."""
    side = round((flop / 2) ** (1 / 3) / 16) * 16
    a, b = torch.randn(side, side, dtype=dtype), torch.randn(side, side, dtype=dtype)
    return lambda: a @ b


def encoder(depth: int, width: int, side: int, gflop: float) -> Pair:
    """The frozen encoder on 32 frames against products of as many operations in its precision."""
    network, crops = (
        folded(FrameEncoder(depth, width)),
        np.random.default_rng(0).integers(0, 255, (32, side, side, 3), np.uint8),
    )
    return lambda: encode_crops(network, crops, torch.device("cpu")), matrix_product(32 * gflop * 1e9, torch.bfloat16)


def operations(network: torch.nn.Module, *inputs: torch.Tensor) -> float:
    """Billions of floating-point operations of a call."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        network(*inputs)
    return counter.get_total_flops() / 1e9


def cropping(folder: Path) -> Pair:
    """Decoding a 640x480 video and cropping a face from each frame, against decoding alone."""
    path = folder / "video.mp4"
    noise = np.random.default_rng(0).integers(0, 255, (60, 80, 3), dtype=np.uint8)
    base = cv2.resize(noise, (640, 480), interpolation=cv2.INTER_CUBIC)
    write_movie(path, (np.roll(base, i, axis=1) for i in range(120)), options={"preset": "veryfast"})
    transform = box_transform(200, 120, 240, 240, 128)

    def decode() -> None:
        with av.open(str(path)) as container:
            container.streams.video[0].thread_type = "NONE"
            for _ in container.decode(video=0):
                pass

    return lambda: [crop(f[0], transform, 128) for f in PyAVSource(str(path)).iterate(1)], decode


def precision(n: int) -> Run:
    """Mean average precision at ten thresholds over `n` predictions."""
    rng = np.random.default_rng(0)
    truths = realistic(rng, 100, 20, classes=8)
    found = realistic(rng, 100, n // 100, classes=8, near=truths)
    return lambda: detection_scores(found, truths, FINE)


def pairs(folder: Path) -> Iterator[tuple[str, str, float, Callable[[], Pair]]]:
    """Name, meaning, factor and the two sides of every ratio."""
    yield from network_pairs(paper(), NetworkConfig(dim=64, channels=64, streams="two_trunks"))
    for depth, width, side in ((18, 64, 112), (10, 32, 128)):
        count = operations(FrameEncoder(depth, width).eval(), torch.zeros(1, 3, side, side))
        made = partial(encoder, depth, width, side, count)
        yield f"encoder{depth}", f"ResNet-{depth} against products of as many operations in bfloat16", 1, made
    yield "crop", "decoding and cropping 640x480 against decoding alone", 1, lambda: cropping(folder)
    text = "mAP of a prediction among 1 000 000 against one among 100 000"
    yield "map", text, 10, lambda: (precision(1_000_000), precision(100_000))


def network_pairs(network: FEDN, small: NetworkConfig) -> Iterator[tuple[str, str, float, Callable[[], Pair]]]:
    """The ratios of the detectors: of the paper's size, and of FEDN+ on the CPU's size."""
    text = "FEDN against ActionFormer of its width, 2 304 steps"
    yield "short", text, 1, lambda: (detector(paper(), 2304), action_former(2304))
    yield "long", "the same, 9 216 steps", 1, lambda: (detector(paper(), 9216), action_former(9216))
    text = "FEDN in bfloat16 against ActionFormer in float32"
    yield "short_bf16", text, 1, lambda: (detector(paper(), 2304, precision="bf16"), action_former(2304))
    yield "long_bf16", text, 1, lambda: (detector(paper(), 9216, precision="bf16"), action_former(9216))
    text = "FEDN with a reach of 64 frames in long windows against ActionFormer, 2 304 steps"
    yield "short_reach", text, 1, lambda: (detector(paper(reach=64), 2304), action_former(2304))
    text = "the same, 9 216 steps"
    yield "long_reach", text, 1, lambda: (detector(paper(reach=64), 9216), action_former(9216))
    text, plus = "FEDN+ on the CPU's size against that ActionFormer, 2 304 steps", FEDN(1024, 3, small).eval()
    yield "plus", text, 1, lambda: (detector(plus, 2304), action_former(2304))
    text, far = "FEDN+ with that reach against that ActionFormer", FEDN(1024, 3, replace(small, reach=64)).eval()
    yield "plus_reach", text, 1, lambda: (detector(far, 2304), action_former(2304))
    text = "a minute of a long video against a minute alone, with that reach"
    yield "linear_reach", text, 8, lambda: (detector(far, 7168), detector(far, 896))
    text = "shared frames computed once against window by window"
    yield "shared", text, 1, lambda: (detector(network, 2304), detector(network, 2304, together=False))
    text = "a minute of a long video against a minute alone"
    yield "linear", text, 8, lambda: (detector(plus, 7200), detector(plus, 900))
    text = "a training step of 32 windows against products of as many operations"
    count = 3e9 * operations(network, torch.randn(32, WINDOW, 512))
    yield "step", text, 1, lambda: (training_step(network), matrix_product(count, torch.float32))


def ratio(ours: Run, other: Run, factor: float, seconds: float = 20.0) -> tuple[float, int]:
    """Median of other / ours over rounds, and how many rounds."""
    found: list[float] = []
    began = time.monotonic()
    for warming in (True, *[False] * 9):
        times = []
        for run in (ours, other):
            before = time.process_time()
            run()
            times.append(time.process_time() - before)
        if not warming:
            found.append(factor * times[1] / times[0])
        if len(found) >= 3 and time.monotonic() - began > seconds:
            break
    return statistics.median(found), len(found)


def main() -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    torch.manual_seed(0)
    wanted = [word for word in sys.argv[1:] if not word.startswith("--")]
    baseline = json.loads(BASELINE.read_text()) if BASELINE.exists() else {}
    measured, fallen = {}, []
    with tempfile.TemporaryDirectory() as folder, torch.no_grad(), OneDnnProducts(torch.device("cpu")):
        for name, meaning, factor, make in pairs(Path(folder)):
            if wanted and name not in wanted:
                continue
            value, rounds = ratio(*make(), factor)
            measured[name] = round(value, 3)
            before = baseline.get(name)
            print(
                f"{name:<10}{value:7.2f} x  {f'({before:.2f} before)' if before else '':<16}{meaning}; {rounds} rounds"
            )
            if before and value < FALL * before:
                fallen.append(name)
    if "--save" in sys.argv:
        BASELINE.write_text(json.dumps({**baseline, **measured}, indent=1) + "\n")
    if fallen:
        sys.exit(f"More than a fifth slower than in {BASELINE.name}: {', '.join(fallen)}.")


if __name__ == "__main__":
    main()
