"""A checkpoint as ONNX files and a page of facts, so that it runs without this project and without PyTorch."""

from __future__ import annotations

import hashlib
import importlib.util
import logging
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from fedn_lightning.errors import ConfigError, ExportError
from fedn_lightning.events import EXPRESSION_TYPES
from fedn_lightning.inference.config import DetectorConfig, load
from fedn_lightning.models.anchors import decode
from fedn_lightning.models.encoder import Encoder, FrameEncoder
from fedn_lightning.models.external_encoders import LandmarkEncoder, OnnxEncoder
from fedn_lightning.models.fedn import FEDN
from fedn_lightning.motion.features import N_FEATURES, MotionStream
from fedn_lightning.utils.files import digest_file, write_atomically, write_json
from fedn_lightning.video.alignment import canonical_eyes
from fedn_lightning.video.faces import moving_face
from fedn_lightning.video.prepare import Align

FORMAT = 1
"""Version of the manifest; a reader of another version must refuse it."""

ABOVE_EVERY_SCORE = 2.0
"""Stands for a threshold that nothing reaches: JSON has no infinity, and scores end at 1."""

ALIGNMENT = {
    "video": "one similarity transform for the whole video puts the eyes in their places",
    "track": "a similarity transform for each frame follows the head and keeps the eyes in their places",
    "none": "the whole picture, resized; the videos were cropped already",
}


def manifest(checkpoint: str | Path, config: DetectorConfig, encoder: Encoder, network: FEDN) -> dict[str, Any]:
    """Everything a program needs to use the ONNX files, as plain values.

    Returns:
        What `docs/export.md` describes key by key; frames are those of the working rate, 0-based and half open.
    """
    scores = zip(EXPRESSION_TYPES, config.threshold, strict=True)
    return {
        "format": FORMAT,
        "fedn_lightning": version("fedn-lightning"),
        "checkpoint": {"file": Path(checkpoint).name, "sha256": digest_file(checkpoint), "trained_on": config.dataset},
        "crop": _crop(config, encoder),
        "window": {
            "length": config.window,
            "stride": config.stride,
            "multiple_of": network.config.strides[-1],
            "tail": "the last window ends with the video; a shorter video repeats its last frame",
        },
        "features": _features(config, network),
        **_outside(config, encoder),
        "types": list(EXPRESSION_TYPES),
        "emotions": list(config.emotions),
        "thresholds": {kind: min(score, ABOVE_EVERY_SCORE) for kind, score in scores},
        "merging": {
            "per_window": config.inference.per_window,
            "iou": config.inference.iou,
            "keep": config.inference.keep,
            "agreement": config.inference.agreement,
            "vote": config.inference.vote,
        },
        "notes": list(config.notes),
    }


def _features(config: DetectorConfig, network: FEDN) -> dict[str, Any]:
    """What a frame's features are made of, in their order."""
    parts: dict[str, Any] = {"encoder": network.feature_dim}
    if config.network.has_motion:
        parts["motion"] = N_FEATURES
        parts["motion_from"] = (
            "optical flow of the crops, outside the graphs: fedn_lightning.motion.features.MotionStream, "
            + ", ".join(f"{name} = {value}" for name, value in asdict(config.motion).items())
        )
    return parts


def _outside(config: DetectorConfig, encoder: Encoder) -> dict[str, Any]:
    """Which file is the encoder, where it is not among those that are written."""
    if isinstance(encoder, FrameEncoder):
        return {}
    about: dict[str, Any] = {
        "outside": True,
        "kind": "onnx" if isinstance(encoder, OnnxEncoder) else "MediaPipe's face landmarker",
        "file": Path(config.encoder.outside or "").name,
        "sha256": hashlib.sha256(encoder.program.numpy().tobytes()).hexdigest(),
    }
    if isinstance(encoder, OnnxEncoder):
        about |= {"input": encoder.input, "output": encoder.output, "size": encoder.side}
        about |= {"channels": encoder.channels, "grid": encoder.grid}
    return {"encoder": about}


def _crop(config: DetectorConfig, encoder: Encoder) -> dict[str, Any]:
    """How a face crop must look."""
    spec = config.crop
    eyes: Mapping[str, Any] = {}
    if spec.align != "none":
        left, right = canonical_eyes(spec.crop_size).round(3).tolist()
        eyes = {"eye_centres": {"left_in_picture": left, "right_in_picture": right}}
    normalisation: dict[str, Any] = {"where": "inside the landmarker"}
    if not isinstance(encoder, LandmarkEncoder):
        outside = isinstance(encoder, OnnxEncoder)
        mean, std = ((value.flatten() / (1 if outside else 255)).tolist() for value in (encoder.mean, encoder.std))
        where = "before the encoder, on pixels in 0..1" if outside else "inside encoder.onnx"
        normalisation = {"where": where, "mean": _rounded(mean), "std": _rounded(std)}
    return {
        "size": spec.crop_size,
        "fps": spec.fps,
        "colour": "RGB, uint8, 0 to 255",
        "alignment": spec.align,
        "alignment_means": ALIGNMENT[spec.align],
        **eyes,
        "normalisation": normalisation,
    }


def _rounded(values: list[float]) -> list[float]:
    return [round(value, 6) for value in values]


PACKAGES = ("onnx", "onnxscript", "onnxruntime")
"""What the optional extra `onnx` installs."""

OPSET = 18
"""Version of ONNX's operators; the one that the exporter translates to without converting."""

MAX_BLOCKS = 256
"""Greatest window, as a multiple of the coarsest level's stride."""

TOLERANCE = 1e-4
"""Largest tolerated difference between ONNX and PyTorch, relative to the largest value (at least 1)."""

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Graph:
    """A network to export."""

    name: str  # of the file, without suffix
    module: nn.Module  # the network
    example: Tensor  # an input
    inputs: str  # name of the input
    outputs: tuple[str, ...]  # names of the outputs
    dynamic: dict[int, Any]  # the input's axes of any length, by position


@dataclass(frozen=True)
class Difference:
    """The greatest difference of an output of ONNX from PyTorch's, over all trials."""

    graph: str  # name of the network
    output: str  # name of the output
    largest: float  # in the output's unit: frames for intervals, probability for scores
    scale: float  # the greatest value of the output in these trials

    @property
    def tolerable(self) -> bool:
        """Whether rounding explains it."""
        return self.largest <= TOLERANCE * max(1.0, self.scale)


@dataclass(frozen=True)
class Exported:
    """What an export has written."""

    files: tuple[Path, ...]  # the ONNX files and the manifest
    differences: tuple[Difference, ...]  # from PyTorch, one for each output
    notes: tuple[str, ...]  # assumptions about what the checkpoint lacks, a sentence each


def check_packages() -> None:
    """Raises a sentence where the optional extra is missing."""
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(f"Export needs {' and '.join(missing)}; to install it: pip install 'fedn-lightning[onnx]'.")


def export(checkpoint: str | Path, folder: str | Path, align: Align | None = None) -> Exported:
    """Writes `encoder.onnx`, `detector.onnx` and `fedn.json`.

    An encoder that is somebody else's network stays outside; `fedn.json` says which file it is.

    The number of crops and of windows is free; so is the length of a window, in multiples of the coarsest level's
    stride, though a checkpoint knows only the length it was trained with. The crop's size is fixed. All is float32:
    `fedn` itself computes features of a frozen encoder in bfloat16 and keeps them in float16. Optical flow is computed
    outside the graphs: the detector of a network with a motion stream takes motion features behind the encoder's.

    Args:
        checkpoint: a `.ckpt` file that `fedn fit` wrote.
        folder: where the files go; made if need be.
        align: how faces were aligned, for a checkpoint that does not say.
    """
    check_packages()
    config, encoder, network = load(checkpoint, align, torch.device("cpu"))
    encoding, detection = graphs_of(config, encoder, network)
    graphs = (encoding, detection) if isinstance(encoder, FrameEncoder) else (detection,)
    programs = {graph.name: translate(graph) for graph in graphs}
    face = moving_face(config.crop.crop_size, config.window)
    with torch.inference_mode():
        features = encoding.module(torch.from_numpy(face)).numpy()
    if config.network.has_motion:
        moved = MotionStream(len(face), config.crop.fps, config.motion).add(face)
        features = np.concatenate([features, moved.astype(np.float32)], axis=1)
    windows = [features[None], *_random_windows(features, config.window, network.config.strides[-1])]
    differences = [] if encoding not in graphs else compare(encoding, programs["encoder"], [face, _noise_like(face)])
    differences += compare(detection, programs["detector"], windows)
    _check_differences(differences)
    facts = manifest(checkpoint, config, encoder, network)
    facts["difference_from_pytorch"] = {f"{d.graph}.{d.output}": d.largest for d in differences}
    facts["opset"] = OPSET
    return Exported(_write(programs, facts, Path(folder)), tuple(differences), config.notes)


def graphs_of(config: DetectorConfig, encoder: Encoder, network: FEDN) -> tuple[Graph, Graph]:
    """The two networks of a checkpoint: `encoder` and `detector`."""
    size, step = config.crop.crop_size, network.config.strides[-1]
    window = step * torch.export.Dim("blocks", min=1, max=MAX_BLOCKS)
    return (
        Graph(
            name="encoder",
            module=CropEncoder(encoder).eval(),
            example=torch.zeros(2, size, size, 3, dtype=torch.uint8),
            inputs="crops",
            outputs=("features",),
            dynamic={0: torch.export.Dim("crops")},
        ),
        Graph(
            name="detector",
            module=WindowDetector(network).eval(),
            example=torch.zeros(2, 3 * step, network.input_dim),
            inputs="features",
            outputs=("intervals", "confidence", "emotion")[: 3 if config.emotions else 2],
            dynamic={0: torch.export.Dim("windows"), 1: window},
        ),
    )


def translate(graph: Graph) -> bytes:
    """The network as ONNX, weights included."""
    # It looks for torchvision, which nothing here needs, and warns of its own use of a deprecated name.
    logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*LeafSpec.* is deprecated")
        program = torch.onnx.export(
            graph.module,
            (graph.example,),
            dynamo=True,
            opset_version=OPSET,
            input_names=[graph.inputs],
            output_names=list(graph.outputs),
            dynamic_shapes=(graph.dynamic,),
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    for node in (*model.graph.node, *(node for function in model.functions for node in function.node)):
        # Where each operation stands in the source: paths of this machine, and two thirds of the bytes.
        del node.metadata_props[:]
    content: bytes = model.SerializeToString()
    return content


def compare(graph: Graph, program: bytes, trials: list[Array]) -> list[Difference]:
    """Runs inputs through PyTorch and onnxruntime; one difference for each output, the greatest of all trials."""
    import onnxruntime

    session = onnxruntime.InferenceSession(program, providers=["CPUExecutionProvider"])
    largest, scale = np.zeros(len(graph.outputs)), np.zeros(len(graph.outputs))
    for trial in trials:
        with torch.inference_mode():
            outputs = graph.module(torch.from_numpy(trial))
        expected = (outputs,) if isinstance(outputs, Tensor) else outputs
        pairs = zip(expected, session.run(None, {graph.inputs: trial}), strict=True)
        for index, (ours, theirs) in enumerate(pairs):
            reference = ours.numpy()
            largest[index] = max(largest[index], np.abs(reference - theirs).max())
            scale[index] = max(scale[index], np.abs(reference).max())
    return [
        Difference(graph.name, name, float(a), float(b))
        for name, a, b in zip(graph.outputs, largest, scale, strict=True)
    ]


def _noise_like(crops: Array) -> Array:
    """Random pictures, fewer than `crops`, so that another batch size is tried."""
    return np.random.default_rng(0).integers(0, 256, (5, *crops.shape[1:]), np.uint8)


def _random_windows(features: Array, window: int, step: int) -> list[Array]:
    """Random features of the spread of real ones, in other batch sizes and window lengths."""
    rng = np.random.default_rng(1)
    shapes = ((3, window), (1, step), (2, window + step))
    return [
        rng.normal(features.mean(), features.std() + 1e-6, (*shape, features.shape[1])).astype(np.float32)
        for shape in shapes
    ]


def _check_differences(differences: list[Difference]) -> None:
    wrong = [d for d in differences if not d.tolerable]  # NaN is not tolerable either
    if wrong:
        named = ", ".join(f"{d.output} by {d.largest:.3g}" for d in wrong)
        raise ExportError(
            f"The ONNX files were not written, as onnxruntime and PyTorch differ: {named}. "
            f"Try the versions in constraints.txt, and report it with the output of fedn doctor."
        )


def _write(programs: Mapping[str, bytes], facts: dict[str, Any], folder: Path) -> tuple[Path, ...]:
    files = []
    for name, content in programs.items():
        files.append(write_atomically(folder / f"{name}.onnx", partial(Path.write_bytes, data=content)))
    return (*files, write_json(folder / "fedn.json", facts))


class CropEncoder(nn.Module):
    """The frame encoder, taking crops as image libraries hold them."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, crops: Tensor) -> Tensor:
        """Maps `(N, S, S, 3)` uint8 RGB crops to `(N, D)` float32 features; normalisation is inside."""
        features: Tensor = self.encoder(crops.permute(0, 3, 1, 2))
        return features


class WindowDetector(nn.Module):
    """FEDN and the decoding of its anchors."""

    def __init__(self, network: FEDN) -> None:
        super().__init__()
        self.network = network

    def forward(self, features: Tensor) -> tuple[Tensor, ...]:
        """Detects in windows.

        Args:
            features: `(B, T, D)` float32; `T` a multiple of the coarsest level's stride.

        Returns:
            For the `N` anchors of a window: `(B, N, 2)` start and end in frames of the window, half open; `(B, N, 2)`
            confidence that it is a macro- and a micro-expression, 0 to 1; and, from a network with emotions, `(B, N,
            E)` confidence in each, 0 to 1.
        """
        output = self.network(features)
        intervals = decode(self.network.anchors(features.shape[1]), output.regression)
        found = (intervals, output.confidence.sigmoid())
        return (*found, output.emotion.sigmoid()) if output.emotion.shape[-1] else found
