"""MediaPipe's landmarks of a face crop, and its blendshapes, as the features of a frame."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fedn_lightning.errors import CheckpointError
from fedn_lightning.video.landmarks import open_landmarker

N_LANDMARKS, N_BLENDSHAPES = 478, 52
"""Points of the face mesh with both irises, and coefficients that MediaPipe gives."""

BLENDSHAPES = "face_blendshapes.tflite"
"""Part of the model file that gives blendshapes; without it there are landmarks alone."""


class LandmarkEncoder(nn.Module):
    """Runs MediaPipe's face landmarker on crops. The model's content is part of the weights.

    Args:
        program: `(N,)` uint8, the content of `face_landmarker.task`.
        source: the file, for messages.

    Attributes:
        feature_dim: 956, x and y of each landmark in sides of the crop from its middle, and 52 blendshapes if the model
            has them. A crop in which no face is found has zeros.

    Raises:
        CheckpointError: if the file is no such model.
        ConfigError: if mediapipe is not installed.
    """

    program: Tensor

    def __init__(self, program: Tensor, source: str) -> None:
        super().__init__()
        self.source = source
        self.register_buffer("program", program)
        try:
            with zipfile.ZipFile(io.BytesIO(self._content())) as archive:
                self.blendshapes = BLENDSHAPES in archive.namelist()
        except zipfile.BadZipFile:
            raise CheckpointError(f"{source} (model.encoder.landmarker) is no face_landmarker.task.") from None
        self._detect: Any = None
        self.feature_dim = 2 * N_LANDMARKS + N_BLENDSHAPES * self.blendshapes
        self._open()

    def forward(self, frames: Tensor) -> Tensor:
        """Maps `(N, 3, H, W)` RGB frames, values 0..255, uint8 or float, to `(N, feature_dim)`."""
        detect = self._open()
        pictures = frames.permute(0, 2, 3, 1).to(torch.uint8).cpu().numpy()
        rows = [self._features(detect(np.ascontiguousarray(picture))) for picture in pictures]
        return torch.from_numpy(np.stack(rows)).to(frames.device)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_detect": None}  # what runs in MediaPipe can neither be copied nor sent

    def _features(self, found: Any) -> np.ndarray[Any, np.dtype[np.float32]]:
        row = np.zeros(self.feature_dim, np.float32)
        if found.face_landmarks:
            points = [(point.x - 0.5, point.y - 0.5) for point in found.face_landmarks[0]]
            row[: 2 * N_LANDMARKS] = np.ravel(points)
            if self.blendshapes:
                row[2 * N_LANDMARKS :] = [shape.score for shape in found.face_blendshapes[0]]
        return row

    def _content(self) -> bytes:
        return self.program.cpu().numpy().tobytes()

    def _open(self) -> Any:
        if self._detect is None:
            self._detect = open_landmarker(self._content(), self.source, faces=1, blendshapes=self.blendshapes)
        return self._detect
