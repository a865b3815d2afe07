"""Reading images and fields at other places than their pixels: OpenCV's bilinear sampling, with types."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from fedn_lightning.corpora.synthesis.canvas import Float32Array, Uint8Array

Transform = npt.NDArray[np.float64]
"""`(2, 3)`, an affine map of points `(x, y)`."""

_BACKWARD: Final = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP


def sample(image: Uint8Array, at: Float32Array, out: Uint8Array | None = None) -> Uint8Array:
    """Reads an 8-bit image at places `(rows, columns, 2)`, x and y in its pixels; beyond its border, the border's."""
    # The type stubs do not know that one map of two channels needs no second map.
    return cv2.remap(image, at, None, cv2.INTER_LINEAR, dst=out, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload, no-any-return]


def sample_layer(layer: Uint8Array, at: Float32Array) -> Uint8Array:
    """As :func:`sample`, of a layer that is transparent (0) beyond its border."""
    return cv2.remap(layer, at, None, cv2.INTER_LINEAR)  # type: ignore[call-overload, no-any-return]


def sample_field(field: Float32Array, at: Float32Array) -> Float32Array:
    """As :func:`sample`, of a field `(rows, columns, 2)`."""
    return cv2.remap(field, at, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)  # type: ignore[call-overload, no-any-return]


def enlarge(field: Float32Array, rows: int, columns: int, out: Float32Array | None = None) -> Float32Array:
    """A field resized to `(rows, columns, 2)`; samples stand for the middles of their cells."""
    return np.asarray(cv2.resize(field, (columns, rows), dst=out, interpolation=cv2.INTER_LINEAR), np.float32)


def look_back(image: Uint8Array, back: Transform, size: int) -> Uint8Array:
    """An image seen in a `(size, size)` crop; `back` takes px of the crop to px of the image."""
    crop = cv2.warpAffine(image, back, (size, size), flags=_BACKWARD, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(crop, np.uint8)


def look_back_field(field: Float32Array, back: Transform, size: int) -> Float32Array:
    """As :func:`look_back`, of a field that is 0 beyond its border."""
    return np.asarray(cv2.warpAffine(field, back, (size, size), flags=_BACKWARD), np.float32)


def crop_positions(back: Transform, size: int) -> Float32Array:
    """`(size, size, 2)`, px of the picture at every pixel of a crop.

    >>> crop_positions(np.array([[2.0, 0.0, 5.0], [0.0, 2.0, 7.0]]), 3)[1, 2].tolist()
    [9.0, 9.0]
    """
    axis = np.arange(size)
    grid = np.empty((size, size, 2), np.float32)
    for channel, (along_x, along_y, offset) in enumerate(back):
        np.add(axis * along_x + offset, (axis * along_y)[:, None], out=grid[..., channel], casting="same_kind")
    return grid
