"""What moved where: arrows over a crop, for networks with a motion stream."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fedn_lightning.events import FloatArray
from fedn_lightning.motion.features import AREAS
from fedn_lightning.reports.clips import data_uri
from fedn_lightning.video.alignment import EYE_DISTANCE

SIDE = 256
"""Side of the picture in pixels."""

LONGEST = 0.14
"""Length of the longest arrow, as a part of the side: motion is drawn larger than it is, the caption says how much."""


def motion_picture(crop: npt.NDArray[np.uint8], moved: FloatArray, frame: int) -> str:
    """A crop with an arrow for each area of the face, as HTML.

    Args:
        crop: `(S, S, 3)` uint8 RGB.
        moved: `(A, 2)` how far each of :data:`fedn_lightning.motion.features.AREAS` is from where it rests, in eye
            distances.
        frame: its number in the clip, for the caption.
    """
    parts = moved * EYE_DISTANCE  # of the crop's side
    longest = float(np.linalg.norm(parts, axis=1).max())
    times = LONGEST / longest if longest > 0 else 1.0
    arrows = []
    for area, (x, y) in zip(AREAS, (parts * times * SIDE).tolist(), strict=True):
        left, top = (area.left + area.right) / 2 * SIDE, (area.top + area.bottom) / 2 * SIDE
        arrows.append(
            f"<g><title>{area.name}</title><circle cx='{left:.1f}' cy='{top:.1f}' r='2' fill='#d62728'/>"
            f"<line x1='{left:.1f}' y1='{top:.1f}' x2='{left + x:.1f}' y2='{top + y:.1f}' stroke='#d62728' "
            f"stroke-width='2.5' stroke-linecap='round'/></g>"
        )
    picture = f"<image href='{data_uri(crop, SIDE)}' width='{SIDE}' height='{SIDE}'/>"
    label = f"What moved where in frame {frame} of the clip"
    return (
        f"<p class='none'>{label}, the head's own motion taken off; drawn {times:.0f} times as large as it is. Dots: "
        f"where each part rests.</p><svg viewBox='0 0 {SIDE} {SIDE}' style='max-width:{SIDE}px' role='img' "
        f"aria-label='{label}'>{picture}{''.join(arrows)}</svg>"
    )
