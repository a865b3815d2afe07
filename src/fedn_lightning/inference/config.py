"""The settings of the detector in a checkpoint: network, crop, windows, classes and thresholds."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor

from fedn_lightning.datamodules.windows import WindowConfig
from fedn_lightning.errors import CheckpointError
from fedn_lightning.models.checkpoints import OLD_DEFAULTS, read_checkpoint
from fedn_lightning.models.encoder import Encoder, EncoderConfig
from fedn_lightning.models.fedn import FEDN, NetworkConfig
from fedn_lightning.models.postprocessing import InferenceConfig
from fedn_lightning.motion.flow import MotionConfig
from fedn_lightning.utils.text import check_choice
from fedn_lightning.video.landmarks import LANDMARKER
from fedn_lightning.video.prepare import Align
from fedn_lightning.video.store import CropSpec

TASK = "DetectionTask"
"""The LightningModule whose checkpoints hold a detector."""

OTHER_TASKS = {
    "RecognitionTask": "a recogniser, which names what others find; join it with a spotter's run: fedn two-step",
    "FlowTask": "the classical baseline, without a network; score it on a corpus: fedn test --config RUN/config.yaml",
}
"""What the checkpoints of other tasks are, and what can be done with them."""


def generated_note(metadata: Mapping[str, Any]) -> str:
    """What must be said of a detector that was trained on generated faces alone."""
    subjects = metadata.get("subjects", {})
    count = len({*subjects.get("train", ()), *subjects.get("val", ())})
    who = f"{count} generated people" if count else "generated faces"
    return f"These weights have seen {who} and nobody real; nothing was measured on real people. Judge nobody by them."


@dataclass(frozen=True)
class DetectorConfig:
    """All that is needed to run a checkpoint on a video.

    Attributes:
        encoder: the frame encoder.
        network: sizes and variants of FEDN.
        inference: how proposals become events; `per_window` is of a window of :attr:`window` frames.
        crop: size, working frame rate and alignment of the face crops.
        window: frames in a sliding window, at the working rate.
        stride: frames between two windows, as in a test.
        emotions: class names; empty for a network that only spots.
        threshold: score from which a macro- and a micro-expression counts, chosen on validation subjects.
        dataset: the corpus it was trained on.
        motion: how optical flow is measured, for a network with a motion stream.
        notes: assumptions about what the checkpoint does not contain, a sentence each.
        generated_only: whether it was trained on generated faces alone.
    """

    encoder: EncoderConfig
    network: NetworkConfig
    inference: InferenceConfig
    crop: CropSpec
    window: int
    stride: int
    emotions: tuple[str, ...]
    threshold: tuple[float, float]
    dataset: str
    motion: MotionConfig = field(default_factory=MotionConfig)
    notes: tuple[str, ...] = ()
    generated_only: bool = False

    def build(self, weights: Mapping[str, Tensor], device: torch.device) -> tuple[Encoder, FEDN]:
        """Makes encoder and network with these weights, in evaluation mode.

        Raises:
            KeyError: if a weight is missing.
            RuntimeError: if one has another shape.
        """
        encoder = replace(self.encoder, weights=None).build(weights.get("encoder.program"))
        network = FEDN(encoder.feature_dim, len(self.emotions), self.network)
        for name, module in (("encoder.", encoder), ("network.", network)):
            module.load_state_dict({key: weights[name + key] for key in module.state_dict()})
            module.eval().requires_grad_(False).to(device)
        return encoder, network


def load(
    path: str | os.PathLike[str], align: Align | None, device: torch.device, landmarker: str | None = None
) -> tuple[DetectorConfig, Encoder, FEDN]:
    """Reads a checkpoint and builds what it holds.

    Args:
        path: a `.ckpt` file that `fedn fit` wrote.
        align: how faces are aligned; None aligns them as in training.
        device: where the networks are to run.
        landmarker: model of MediaPipe's face landmarker, which then places the faces.

    Raises:
        CheckpointError: if it cannot be read, is of another task, or is incomplete.
        ConfigError: if there is no such alignment.
    """
    if align is not None:
        check_choice("align", align, get_args(Align))
    content = read_checkpoint(os.fspath(path))
    metadata, weights = content.get("fedn"), content.get("state_dict")
    if not isinstance(metadata, Mapping) or not isinstance(weights, Mapping):
        msg = f"{path} holds no detector (a checkpoint of the encoder?); give the best.ckpt of a run of DetectionTask."
        raise CheckpointError(msg)
    if (task := metadata.get("task", TASK)) != TASK:
        what = f"{task}, {OTHER_TASKS[task]}" if task in OTHER_TASKS else task
        raise CheckpointError(f"{path} is no detector of {TASK}, but a checkpoint of {what}.")
    try:
        config = _read_config(metadata, weights["threshold"], align, landmarker)
        return config, *config.build(weights, device)
    except (KeyError, TypeError, RuntimeError) as error:
        why = str(error).strip().splitlines()[0]
        msg = f"{path} lacks or mistakes what a detector needs ({why}); it was made by another version. Train it again."
        raise CheckpointError(msg) from error


def _read_config(
    metadata: Mapping[str, Any], threshold: Tensor, align: Align | None, landmarker: str | None
) -> DetectorConfig:
    model, windows = metadata["model"], WindowConfig(**metadata["windows"])
    inference = InferenceConfig(**model["inference"])
    crop, notes = _crop(metadata, align, landmarker)
    macro, micro = threshold.tolist()
    return DetectorConfig(
        encoder=EncoderConfig(**model["encoder"]),
        network=NetworkConfig(**OLD_DEFAULTS | model["network"]),
        inference=replace(inference, per_window=windows.proposals(inference.per_window)),
        crop=crop,
        window=windows.tested,
        stride=windows.test_stride,
        emotions=tuple(metadata["emotions"]) if model["recognise"] else (),
        threshold=(macro, micro),
        dataset=metadata["dataset"],
        motion=MotionConfig(**metadata.get("motion", {})),
        notes=((generated_note(metadata),) if metadata.get("generated") else ()) + notes,
        generated_only=bool(metadata.get("generated")),
    )


def _crop(metadata: Mapping[str, Any], align: Align | None, landmarker: str | None) -> tuple[CropSpec, tuple[str, ...]]:
    """The crop, and what is assumed of it."""
    spec = CropSpec(metadata["crop_size"], metadata["fps"])
    trained = metadata.get("alignment")
    if trained is None:
        if align is not None:
            return replace(spec, align=align), ()
        note = (
            "The checkpoint does not say how faces were aligned in training (it is older than fedn predict): "
            "one transform for the whole video is assumed. If its config.yaml says `align: track`, give --align track."
        )
        return spec, (note,)
    notes = []
    if align is not None and align != trained["align"]:
        notes.append(
            f"Faces are aligned by {align}; the checkpoint was trained on faces aligned by {trained['align']}."
        )
    if trained["finder"] == "openface" and landmarker is None:
        notes.append("The checkpoint was trained on faces placed by OpenFace's landmarks; here the cascade finds them.")
    kind, _, file = trained["finder"].partition(":")
    if landmarker is not None and kind != LANDMARKER:
        notes.append(f"Faces are placed by MediaPipe's landmarks; in training they were placed by {kind}.")
    model = landmarker or (file if kind == LANDMARKER else None)
    if model is not None and not Path(model).is_file():
        raise CheckpointError(
            f"Faces are placed by MediaPipe's face landmarker, whose model {model} is not there; give it by "
            "--landmarker FILE."
        )
    finder = f"{LANDMARKER}:{Path(model).resolve()}" if model else "mesh" if kind == "mesh" else "cascade"
    return replace(spec, align=align or trained["align"], finder=finder), tuple(notes)
