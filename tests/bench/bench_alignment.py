"""Measures what alignment leaves of sway and of micro-expressions: `python tests/bench/bench_alignment.py [PNG]`.

Generated faces sway, turn and nod as in the generated corpus; their landmarks are known in every frame, so what moves
in the crop is measured, not judged. With a path, draws the motion of one face's mouth corner. Exit code 1 if a target
is missed.
"""

import sys
from pathlib import Path

import cv2
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from fedn_lightning.video.alignment import eye_transform
from fedn_lightning.video.faces import find_face, find_video_face
from fedn_lightning.video.tracking import HeadTracker, settled, transforms
from fedn_synth.face.anatomy import LANDMARK_INDEX
from fedn_synth.face.motion import FaceTracks
from fedn_synth.face.muscles import AU_INDEX
from fedn_synth.plan import distractors
from lookalikes.faces import actor

N, FPS, SIZE = 450, 30.0, 128
ONSET, LENGTH = 200, 14
CORNER = LANDMARK_INDEX["mouth_corner_left"]
LEAST_SWAY = 0.5  # pixels of the crop, root mean square


def rigid(seed):
    """A head that moves and blinks, without an expression."""
    tracks = FaceTracks.neutral(N)
    rng = np.random.default_rng(seed)
    tracks.pose[:] = distractors.head(N, distractors.ORDINARY, rng)[0]
    tracks.blink[60:66] = tracks.blink[320:326] = 1
    return tracks


def with_micro(tracks):
    """The same head with half a second of a faint smile and frown."""
    copy = tracks[:]
    units = copy.action_units.copy()
    bump = 0.3 * np.sin(np.linspace(0, np.pi, LENGTH)) ** 2
    for unit in ("4", "12"):
        units[ONSET : ONSET + LENGTH, AU_INDEX[unit]] = bump[:, None]
    return FaceTracks(units, copy.blink, copy.gaze, copy.speech, copy.swallow, copy.pose, copy.light)


def aligned(face, tracks):
    """Transforms of every frame by `align: video` and by `align: track`."""
    tracker, sampled = HeadTracker(), {}
    for frame in range(0, N, 2):
        grey = cv2.cvtColor(face.render(tracks, frame, 1), cv2.COLOR_RGB2GRAY)
        tracker.add(frame, grey)
        if frame % 30 == 0:
            sampled[frame] = grey
    found = [find_face(grey) for grey in sampled.values()]
    once = find_video_face(found, list(sampled.values()), list(sampled), "generated")
    track = settled(tracker.track(), list(sampled), found)
    return {
        "video": np.repeat(eye_transform(once.left, once.right, SIZE)[None], N, axis=0),
        "track": transforms(track, N, FPS, SIZE),
    }


def in_crop(points, placed):
    """`(N, K, 2)` landmarks in crop pixels."""
    return np.einsum("tij,tkj->tki", placed[:, :, :2], points) + placed[:, None, :, 2]


def rms(points):
    return float(np.sqrt(((points - points.mean(axis=0)) ** 2).sum(-1).mean()))


def draw(path, curves):
    """The mouth corner's height in the crop over time, for both alignments."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.4), dpi=110, layout="constrained")
    axes = figure.subplots()
    axes.axvspan(ONSET / FPS, (ONSET + LENGTH) / FPS, color="#d1495b", alpha=0.25, label="micro-expression")
    for (name, curve), colour in zip(curves.items(), ("#8b929a", "#0072b2"), strict=True):
        axes.plot(np.arange(N) / FPS, curve - np.median(curve), color=colour, label=f"align: {name}")
    axes.set(xlabel="seconds", ylabel="crop pixels", title="height of a mouth corner in the 128 px crop")
    axes.legend(frameon=False, ncols=3)
    figure.savefig(path)


def main():
    cv2.setNumThreads(1)
    missed = False
    print(f"crop pixels (crop of {SIZE} px)        sway left, RMS      micro-expression at its apex")
    print("identity                           video     track      true   video   track   invented by track")
    for seed in range(40, 46):
        face, head = actor(seed), rigid(seed)
        micro = with_micro(head)
        true_points = np.stack([face.landmarks(head, i) for i in range(N)])
        micro_points = np.stack([face.landmarks(micro, i) for i in range(N)])
        placed, placed_micro = aligned(face, head), aligned(face, micro)
        left = {name: rms(in_crop(true_points, t)) for name, t in placed.items()}
        apex, around = ONSET + LENGTH // 2, [ONSET - 1, ONSET + LENGTH]
        seen, curves = {}, {}
        for name, t in placed_micro.items():
            moving, still = in_crop(micro_points, t), in_crop(true_points, t)
            seen[name] = np.hypot(*(moving[apex, CORNER] - moving[around, CORNER].mean(axis=0)))
            true = np.hypot(*(moving[apex, CORNER] - still[apex, CORNER]))
            invented = rms(still[ONSET : ONSET + LENGTH])
            curves[name] = moving[:, CORNER, 1]
        print(f"{seed:<34} {left['video']:6.2f}    {left['track']:6.2f}    {true:6.2f}  {seen['video']:6.2f}  "
              f"{seen['track']:6.2f}  {invented:6.2f}")  # fmt: skip
        missed |= left["track"] > LEAST_SWAY
    if len(sys.argv) > 1:
        draw(sys.argv[1], curves)
    if missed:
        sys.exit(f"missed: more than {LEAST_SWAY} px of sway left")


if __name__ == "__main__":
    main()
