"""Filters over time: noise and head sway are slower or faster than an expression."""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy.ndimage import gaussian_filter1d, median_filter

from fedn_lightning.events import FloatArray

SAMPLES = 30
"""Samples of a running median's window: a slow baseline needs no more, however many frames a second there are."""


def low_pass(signal: FloatArray, seconds: float, fps: float) -> FloatArray:
    """Takes off what changes faster than an expression.

    Args:
        signal: `(T, ...)`.
        seconds: standard deviation of the Gaussian; 0 changes nothing.
        fps: frames per second.
    """
    if seconds <= 0:
        return signal
    return np.asarray(gaussian_filter1d(signal, seconds * fps, axis=0, mode="nearest"), np.float64)


def baseline(
    signal: FloatArray,
    seconds: float,
    fps: float,
    samples: int = SAMPLES,
    edges: Literal["nearest", "reflect"] = "nearest",
) -> FloatArray:
    """Where each channel rests: its running median, which an expression shorter than half the window cannot move.

    Args:
        signal: `(T, ...)`.
        seconds: width of the window.
        fps: frames per second.
        samples: of the window.
        edges: what stands beyond both ends, the last value or the signal mirrored.

    Returns:
        Like `signal`; computed on every few frames and interpolated between.

    >>> pulse = np.zeros((90, 1)); pulse[40:50] = 1
    >>> float(baseline(pulse, 2.0, 30.0).max())
    0.0
    """
    width = max(round(seconds * fps), 1)
    step = max(width // samples, 1)
    flat = signal.reshape(len(signal), -1)
    at = np.arange(0, len(signal), step)
    slow = median_filter(flat[at], size=(width // step | 1, 1), mode=edges)
    frames = np.arange(len(signal))
    return np.stack([np.interp(frames, at, channel) for channel in slow.T], axis=1).reshape(signal.shape)
