"""Makes a model for MediaPipe's face landmarker of those in the package of mediapipe 0.10.21.

    pip download --no-deps mediapipe==0.10.21 && python tests/support/face_task.py mediapipe-0.10.21-*.whl face.task
    FEDN_FACE_LANDMARKER=face.task pytest tests/video/test_landmarks.py

The published `face_landmarker.task` cannot be fetched in a test. The older package holds the same kind of face
detector, and a network of 468 landmarks; the landmarker wants 478, so ten zeros take the place of the irises.
"""

from __future__ import annotations

import sys
import tempfile
import zipfile
from importlib import import_module

import numpy as np

MODULES, SCHEMA = "mediapipe/modules", "mediapipe/tasks/metadata/schema_py_generated.py"


def make(wheel: str, path: str) -> None:
    """Writes the model of a wheel of mediapipe 0.10.21."""
    with zipfile.ZipFile(wheel) as package, zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        with tempfile.TemporaryDirectory() as folder:
            package.extract(SCHEMA, folder)
            sys.path.insert(0, f"{folder}/{SCHEMA.rpartition('/')[0]}")
            network = _padded(package.read(f"{MODULES}/face_landmark/face_landmark.tflite"))
        detector = package.read(f"{MODULES}/face_detection/face_detection_short_range.tflite")
        archive.writestr("face_detector.tflite", detector)
        archive.writestr("face_landmarks_detector.tflite", network)


def _padded(content: bytes) -> bytes:
    """The network with ten landmarks of zeros behind its own."""
    flatbuffers = import_module("flatbuffers")
    schema = import_module("schema_py_generated")
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(content, 0))
    graph = model.subgraphs[0]
    output = next(index for index in graph.outputs if list(graph.tensors[index].shape)[-1] == 3 * 468)

    def tensor(name: bytes, shape: list[int], kind: int, data: bytes | None) -> int:
        buffer, new = schema.BufferT(), schema.TensorT()
        buffer.data = None if data is None else np.frombuffer(data, np.uint8)
        model.buffers.append(buffer)
        new.name, new.shape, new.type, new.buffer = name, np.array(shape, np.int32), kind, len(model.buffers) - 1
        graph.tensors.append(new)
        return len(graph.tensors) - 1

    margins = np.array([[0, 0], [0, 0], [0, 0], [0, 30]], np.int32).tobytes()
    inputs = [output, tensor(b"margins", [4, 2], schema.TensorType.INT32, margins)]
    padded = tensor(b"padded", [1, 1, 1, 3 * 478], graph.tensors[output].type, None)
    pad, operator = schema.BuiltinOperator.PAD, schema.OperatorT()
    codes = [{code.builtinCode, code.deprecatedBuiltinCode} for code in model.operatorCodes]
    operator.opcodeIndex = next(index for index, code in enumerate(codes) if pad in code)
    operator.inputs, operator.outputs = np.array(inputs, np.int32), np.array([padded], np.int32)
    operator.builtinOptionsType, operator.builtinOptions = schema.BuiltinOptions.PadOptions, schema.PadOptionsT()
    graph.operators.append(operator)
    graph.outputs = np.array([padded if index == output else index for index in graph.outputs], np.int32)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


if __name__ == "__main__":
    make(*sys.argv[1:])
