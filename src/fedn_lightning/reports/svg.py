"""Line charts as SVG text: small, sharp at every size, and without a library."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fedn_lightning.events import FloatArray

WIDTH, HEIGHT = 360, 260
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 26, 40
COLOURS = ("#1b6ca8", "#c8553d", "#4a7c59")
TICKS = 5


@dataclass(frozen=True)
class Line:
    """A curve: its name in the legend, `(K,)` abscissae and `(K,)` ordinates."""

    name: str
    x: FloatArray
    y: FloatArray


def line_chart(
    title: str, x_label: str, y_label: str, lines: Sequence[Line], x_range: tuple[float, float] = (0.0, 1.0)
) -> str:
    """Draws curves over `x_range`, ordinates from 0 to 1.

    Args:
        title: above the chart.
        x_label: below the axis.
        y_label: beside the axis.
        lines: the curves; what lies outside the range is clipped.
        x_range: first and last abscissa.

    Returns:
        An `<svg>` element.
    """
    low, high = x_range if x_range[1] > x_range[0] else (x_range[0] - 0.5, x_range[0] + 0.5)
    inner_width, inner_height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" role="img" aria-label="{html.escape(title)}" '
        'xmlns="http://www.w3.org/2000/svg" font-family="sans-serif" font-size="11">',
        f'<text x="{LEFT}" y="15" font-weight="bold">{html.escape(title)}</text>',
        f'<rect x="{LEFT}" y="{TOP}" width="{inner_width}" height="{inner_height}" fill="none" stroke="#999"/>',
    ]
    for k in range(TICKS + 1):
        part = k / TICKS
        x, y = LEFT + part * inner_width, TOP + (1 - part) * inner_height
        parts.append(
            f'<text x="{x:.0f}" y="{TOP + inner_height + 14}" text-anchor="middle">{_tick(low, high, part)}</text>'
        )
        parts.append(f'<text x="{LEFT - 5}" y="{y + 4:.0f}" text-anchor="end">{part:.1f}</text>')
        parts.append(f'<path d="M{LEFT} {y:.0f}h{inner_width}" stroke="#ddd" stroke-width="0.5"/>')
    parts.append(
        f'<text x="{LEFT + inner_width / 2}" y="{HEIGHT - 8}" text-anchor="middle">{html.escape(x_label)}</text>'
    )
    parts.append(
        f'<text transform="translate(12 {TOP + inner_height / 2}) rotate(-90)" text-anchor="middle">'
        f"{html.escape(y_label)}</text>"
    )
    for k, line in enumerate(lines):
        colour = COLOURS[k % len(COLOURS)]
        inside = (line.x >= low) & (line.x <= high) & np.isfinite(line.y)
        xs = LEFT + (line.x[inside] - low) / (high - low) * inner_width
        ys = TOP + (1 - line.y[inside]) * inner_height
        points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(xs, ys, strict=True))
        parts.append(f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
        legend = f'x="{WIDTH - RIGHT - 6}" y="{TOP + 14 + 13 * k}" text-anchor="end" fill="{colour}"'
        parts.append(f"<text {legend}>{html.escape(line.name)}</text>")
    return "\n".join([*parts, "</svg>"])


def _tick(low: float, high: float, part: float) -> str:
    return f"{low + part * (high - low):.3g}"
