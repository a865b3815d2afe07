"""Frame encoders that come as a file: any network in ONNX, and MediaPipe's landmarks and blendshapes."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from fedn_lightning.errors import CheckpointError, ConfigError
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


GREY = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the picture for a network that takes grey ones (ITU-R BT.601)."""

Session = Any
"""An `onnxruntime.InferenceSession`; its package is optional."""


class OnnxEncoder(nn.Module):
    """Runs an ONNX network by onnxruntime. The file's content is part of the weights, so a checkpoint is enough.

    Args:
        program: `(N,)` uint8, the file's content.
        source: the file, for messages.
        output: name of the tensor that is the feature, also one inside the network; None for its only output.
        size: side of the picture in pixels; None where the network tells it.
        mean: RGB mean subtracted from pixels in 0..1; of a grey network the first counts.
        std: RGB deviation they are divided by.
        grid: side of the grid to which a feature map is pooled.

    Attributes:
        feature_dim: length of a frame's feature vector.

    Raises:
        CheckpointError: if the file is no ONNX network, or cannot be run.
        ConfigError: if it has another form than that of an image network, or `output` or `size` do not fit it.
    """

    program: Tensor
    size: Tensor
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        program: Tensor,
        source: str,
        output: str | None = None,
        size: int | None = None,
        mean: tuple[float, float, float] = (0.485, 0.456, 0.406),
        std: tuple[float, float, float] = (0.229, 0.224, 0.225),
        grid: int = 1,
    ) -> None:
        super().__init__()
        self.source, self.grid = source, grid
        self._session: Session | None = None
        self.register_buffer("program", program)
        self.output, self.program = self._choose(output)
        self._session = None
        (entry,) = self.session.get_inputs()
        self.at_once, self.channels, self.last, self.side = self._form(entry.shape, size)
        self.input, self.pixel_type = entry.name, np.float16 if entry.type == "tensor(float16)" else np.float32
        # Buffers are hashed with the weights, so that a cache never mixes features of two settings.
        self.register_buffer("size", torch.tensor(self.side))
        self.register_buffer("mean", torch.tensor(mean)[: self.channels].view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std)[: self.channels].view(1, -1, 1, 1))
        self.register_load_state_dict_post_hook(_forget_session)  # type: ignore[no-untyped-call]
        self.feature_dim = self(torch.zeros(1, 3, self.side, self.side, dtype=torch.uint8)).shape[1]

    @property
    def session(self) -> Session:
        """The running network, made when it is first needed."""
        if self._session is None:
            self._session = _open(self.program, self.source)
        return self._session

    def forward(self, frames: Tensor) -> Tensor:
        """Maps `(N, 3, H, W)` RGB frames, values 0..255, uint8 or float, to `(N, feature_dim)`."""
        x = frames.float()
        if x.shape[-2:] != (self.side, self.side):
            x = nn.functional.interpolate(x, (self.side, self.side), mode="bilinear", antialias=True)
        if self.channels == 1:
            x = (x * x.new_tensor(GREY).view(1, 3, 1, 1)).sum(dim=1, keepdim=True)
        x = (x / 255 - self.mean) / self.std
        x = x.permute(0, 2, 3, 1) if self.last else x
        pixels = x.cpu().numpy().astype(self.pixel_type)
        at_once = self.at_once or len(pixels)
        parts = [self._run(pixels[first : first + at_once]) for first in range(0, len(pixels), at_once)]
        features = torch.from_numpy(np.concatenate(parts)).float()
        if features.ndim == 4:
            features = features.permute(0, 3, 1, 2) if self.last else features
            features = nn.functional.adaptive_avg_pool2d(features, self.grid)
        return features.flatten(1).to(frames.device)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_session": None}  # a session can neither be copied nor sent

    def _run(self, pixels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        missing = max(self.at_once - len(pixels), 0)
        padded = np.concatenate([pixels, np.repeat(pixels[-1:], missing, axis=0)])
        try:
            (features,) = self.session.run([self.output], {self.input: padded})
        except Exception as error:  # onnxruntime's own errors share no other class
            raise CheckpointError(f"{self.source} cannot be run: {_first_line(error)}.") from None
        return np.asarray(features)[: len(pixels)]

    def _choose(self, output: str | None) -> tuple[str, Tensor]:
        """The name of the output, and the program that gives it."""
        names = [each.name for each in self.session.get_outputs()]
        if len(self.session.get_inputs()) != 1:
            inputs = ", ".join(each.name for each in self.session.get_inputs())
            raise ConfigError(f"{self.source} has the inputs {inputs}; an encoder takes one picture.")
        if output is None and len(names) == 1:
            return names[0], self.program
        if output is None:
            raise ConfigError(f"{self.source} has the outputs {', '.join(names)}; name one by model.encoder.output.")
        return output, self.program if output in names else _with_output(self.program, self.source, output, names)

    def _form(self, shape: list[int | str | None], size: int | None) -> tuple[int, int, bool, int]:
        """Pictures at once (0 for any), channels, whether they stand last, and the picture's side in pixels."""
        axes = [each if isinstance(each, int) else 0 for each in shape]
        last = len(axes) == 4 and axes[1] not in (1, 3) and axes[3] in (1, 3)
        channels = axes[3] if last else axes[1] if len(axes) == 4 else 0
        if channels not in (1, 3):
            raise ConfigError(f"{self.source} takes an input of shape {shape}, not pictures of 3 channels or 1.")
        known = {side for side in (axes[1:3] if last else axes[2:]) if side}
        side = size or max(known, default=0)
        if not side:
            raise ConfigError(f"{self.source} takes pictures of any size; set model.encoder.size, the side in pixels.")
        if known - {side}:
            own = " x ".join(str(each) for each in sorted(known))
            raise ConfigError(f"{self.source} takes pictures of {own} pixels, and model.encoder.size is {side}.")
        return axes[0], channels, last, side


def read_program(path: str) -> Tensor:
    """The content of a network's file, `(N,)` uint8.

    Raises:
        CheckpointError: if it is not there.
    """
    try:
        return torch.from_numpy(np.fromfile(path, np.uint8))
    except OSError as error:
        raise CheckpointError(f"{path} (model.encoder) cannot be read: {error.strerror}.") from None


def _open(program: Tensor, source: str) -> Session:
    try:
        import onnxruntime
    except ImportError:
        raise ConfigError("model.encoder.onnx needs onnxruntime: pip install 'fedn-lightning[onnx]'.") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    known = ("CUDAExecutionProvider", "CPUExecutionProvider") if program.is_cuda else ("CPUExecutionProvider",)
    providers = [name for name in known if name in onnxruntime.get_available_providers()]
    try:
        return onnxruntime.InferenceSession(program.cpu().numpy().tobytes(), options, providers=providers)
    except Exception as error:  # onnxruntime's own errors share no other class
        raise CheckpointError(f"{source} cannot be read as an ONNX network: {_first_line(error)}.") from None


def _with_output(program: Tensor, source: str, output: str, names: list[str]) -> Tensor:
    """The program with an inner tensor as its only output."""
    try:
        import onnx
    except ImportError:
        raise ConfigError(
            f"{output} is no output of {source} but a tensor inside; this needs onnx: pip install onnx."
        ) from None
    model = onnx.load_model_from_string(program.cpu().numpy().tobytes())
    inner = [name for node in model.graph.node for name in node.output if name]
    if output not in inner:
        raise ConfigError(
            f"model.encoder.output is {output}, but {source} has the outputs {', '.join(names)} and, inside, "
            f"{', '.join(inner[-6:])} as its last tensors."
        )
    del model.graph.output[:]
    model.graph.output.append(onnx.helper.make_empty_tensor_value_info(output))
    return torch.from_numpy(np.frombuffer(model.SerializeToString(), np.uint8).copy())


def _forget_session(module: OnnxEncoder, keys: Any) -> None:
    """After weights were loaded the session of the old program must not be used."""
    module._session = None


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
