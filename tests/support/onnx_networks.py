"""Small image networks as ONNX files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt


def write_network(
    path: Path, channels: int = 3, side: int | str = 16, batch: int | str = "N", last: bool = False
) -> Path:
    """A convolution (its map is the tensor `map`), a rectifier, the mean over the picture, and 5 classes (`classes`).

    Args:
        path: of the file.
        channels: of the pictures.
        side: of the pictures in pixels; a word leaves it free.
        batch: pictures at once; a word leaves it free.
        last: whether channels stand last.
    """
    from onnx import TensorProto, checker, helper, numpy_helper, save

    kernel, weight = kernels(channels)
    shape = [batch, side, side, channels] if last else [batch, channels, side, side]
    nodes = [helper.make_node("Transpose", ["picture"], ["first"], perm=[0, 3, 1, 2])] if last else []
    nodes += [
        helper.make_node("Conv", ["first" if last else "picture", "kernel"], ["convolved"], strides=[2, 2]),
        helper.make_node("Relu", ["convolved"], ["map"]),
        helper.make_node("GlobalAveragePool", ["map"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["feature"]),
        helper.make_node("MatMul", ["feature", "weight"], ["classes"]),
    ]
    graph = helper.make_graph(
        nodes,
        "toy",
        [helper.make_tensor_value_info("picture", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("classes", TensorProto.FLOAT, [batch, 5])],
        [numpy_helper.from_array(kernel, "kernel"), numpy_helper.from_array(weight, "weight")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    checker.check_model(model)
    save(model, path)
    return path


def kernels(channels: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """The weights of the convolution `(6, channels, 3, 3)` and of the classes `(6, 5)`."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(6, channels, 3, 3)).astype(np.float32), rng.normal(size=(6, 5)).astype(np.float32)
