"""Measures how fast faces are painted and rendered on one core: `python tests/bench/bench_render.py`."""

from __future__ import annotations

import time
from collections.abc import Callable

import cv2
import numpy as np

from fedn_synth.face.identity import Identity
from fedn_synth.face.motion import FaceTracks
from fedn_synth.face.muscles import AU_CODES, AU_INDEX, EMOTION_UNITS
from fedn_synth.face.renderer import FaceRenderer

FRAMES = 600
IDENTITIES = 12


def lively_tracks(n_frames: int) -> FaceTracks:
    """A lively video: the head sways, the light drifts, the gaze jumps; a tenth speech, a fifth expressions."""
    rng = np.random.default_rng(0)
    tracks = FaceTracks.neutral(n_frames)
    tracks.pose[:, :5] += np.cumsum(rng.normal(0, 0.1, (n_frames, 5)), axis=0)
    tracks.light[:] += np.cumsum(rng.normal(0, 0.002, (n_frames, 3)), axis=0)
    tracks.gaze[:] = np.repeat(rng.uniform(-1, 1, (n_frames // 25 + 1, 2)), 25, axis=0)[:n_frames]
    tracks.speech[: n_frames // 10] = rng.uniform(0, 0.6, (n_frames // 10, 2))
    for start in range(0, n_frames - 8, 90):
        tracks.blink[start : start + 8] = np.sin(np.linspace(0, np.pi, 8))
    ramp = np.sin(np.linspace(0, np.pi, 25))[:, None]
    for start, alternatives in zip(range(40, n_frames - 25, 125), EMOTION_UNITS.values(), strict=False):
        for code in alternatives[0]:
            tracks.action_units[start : start + 25, AU_INDEX[code]] = 0.8 * ramp
    return tracks


def per_second(call: Callable[[int], object], repeats: int) -> float:
    """Calls a second, after one call to warm up."""
    call(0)
    start = time.process_time()
    for index in range(repeats):
        call(index)
    return repeats / (time.process_time() - start)


def main() -> None:
    """Prints the figures."""
    cv2.setNumThreads(1)
    tracks = lively_tracks(FRAMES)
    paint = per_second(lambda i: FaceRenderer(Identity.sample(i)), IDENTITIES)
    people = [FaceRenderer(Identity.sample(seed)) for seed in range(4)]
    whole = per_second(lambda i: people[i * 4 // FRAMES].render(tracks, i, 0), FRAMES)
    transform = np.array([[0.52, 0.0, -102.0], [0.0, 0.52, -84.0]])
    crop = per_second(lambda i: people[i * 4 // FRAMES].render_crop(tracks, i, 0, 128, transform), FRAMES)
    print(f"{len(AU_CODES)} action units, one core (CPU time, so that other work does not count)")
    print(f"paint an identity   {1000 / paint:7.1f} ms")
    print(f"render 640x480      {whole:7.0f} frames per CPU second")
    print(f"render_crop 128     {crop:7.0f} frames per CPU second")


if __name__ == "__main__":
    main()
