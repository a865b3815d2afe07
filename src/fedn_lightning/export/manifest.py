"""The page of facts beside the ONNX files: what must be known to use them without this project."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fedn_lightning.events import EXPRESSION_TYPES
from fedn_lightning.inference.config import DetectorConfig
from fedn_lightning.models.encoder import FrameEncoder
from fedn_lightning.models.fedn import FEDN
from fedn_lightning.motion.features import N_FEATURES
from fedn_lightning.utils.files import digest_file
from fedn_lightning.video.alignment import canonical_eyes

FORMAT = 1
"""Version of the manifest; a reader of another version must refuse it."""

ABOVE_EVERY_SCORE = 2.0
"""Stands for a threshold that nothing reaches: JSON has no infinity, and scores end at 1."""

ALIGNMENT = {
    "video": "one similarity transform for the whole video puts the eyes in their places",
    "track": "a similarity transform for each frame follows the head and keeps the eyes in their places",
    "none": "the whole picture, resized; the videos were cropped already",
}


def manifest(checkpoint: str | Path, config: DetectorConfig, encoder: FrameEncoder, network: FEDN) -> dict[str, Any]:
    """Everything a program needs to use the ONNX files, as plain values.

    Args:
        checkpoint: the file they come from.
        config: its settings.
        encoder: its frame encoder.
        network: its network.

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


def _crop(config: DetectorConfig, encoder: FrameEncoder) -> dict[str, Any]:
    """How a face crop must look."""
    spec = config.crop
    eyes: Mapping[str, Any] = {}
    if spec.align != "none":
        left, right = canonical_eyes(spec.crop_size).round(3).tolist()
        eyes = {"eye_centres": {"left_in_picture": left, "right_in_picture": right}}
    mean, std = ((value.flatten() / 255).tolist() for value in (encoder.mean, encoder.std))
    return {
        "size": spec.crop_size,
        "fps": spec.fps,
        "colour": "RGB, uint8, 0 to 255",
        "alignment": spec.align,
        "alignment_means": ALIGNMENT[spec.align],
        **eyes,
        "normalisation": {"where": "inside encoder.onnx", "mean": _rounded(mean), "std": _rounded(std)},
    }


def _rounded(values: list[float]) -> list[float]:
    return [round(value, 6) for value in values]
