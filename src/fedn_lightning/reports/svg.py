"""Line charts as SVG text: small, sharp at every size, and without a library."""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from fedn_lightning.events import FloatArray

WIDTH, HEIGHT = 360, 260
LEFT, RIGHT, TOP, BOTTOM = 46, 12, 26, 40
INNER_WIDTH, INNER_HEIGHT = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
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
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" role="img" aria-label="{html.escape(title)}" '
        'xmlns="http://www.w3.org/2000/svg" font-family="sans-serif" font-size="11">',
        f'<text x="{LEFT}" y="15" font-weight="bold">{html.escape(title)}</text>',
        *_axes(x_label, y_label, low, high),
        *(element for k, line in enumerate(lines) for element in _curve(line, k, low, high)),
        "</svg>",
    ]
    return "\n".join(parts)


def _axes(x_label: str, y_label: str, low: float, high: float) -> Iterator[str]:
    yield f'<rect x="{LEFT}" y="{TOP}" width="{INNER_WIDTH}" height="{INNER_HEIGHT}" fill="none" stroke="#999"/>'
    for k in range(TICKS + 1):
        part = k / TICKS
        x, y = LEFT + part * INNER_WIDTH, TOP + (1 - part) * INNER_HEIGHT
        tick = f"{low + part * (high - low):.3g}"
        yield f'<text x="{x:.0f}" y="{TOP + INNER_HEIGHT + 14}" text-anchor="middle">{tick}</text>'
        yield f'<text x="{LEFT - 5}" y="{y + 4:.0f}" text-anchor="end">{part:.1f}</text>'
        yield f'<path d="M{LEFT} {y:.0f}h{INNER_WIDTH}" stroke="#ddd" stroke-width="0.5"/>'
    yield f'<text x="{LEFT + INNER_WIDTH / 2}" y="{HEIGHT - 8}" text-anchor="middle">{html.escape(x_label)}</text>'
    turned = f'transform="translate(12 {TOP + INNER_HEIGHT / 2}) rotate(-90)" text-anchor="middle"'
    yield f"<text {turned}>{html.escape(y_label)}</text>"


def _curve(line: Line, index: int, low: float, high: float) -> Iterator[str]:
    """A curve and its entry in the legend."""
    colour = COLOURS[index % len(COLOURS)]
    inside = (line.x >= low) & (line.x <= high) & np.isfinite(line.y)
    xs = LEFT + (line.x[inside] - low) / (high - low) * INNER_WIDTH
    ys = TOP + (1 - line.y[inside]) * INNER_HEIGHT
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(xs, ys, strict=True))
    yield f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.6"/>'
    place = f'x="{WIDTH - RIGHT - 6}" y="{TOP + 14 + 13 * index}" text-anchor="end" fill="{colour}"'
    yield f"<text {place}>{html.escape(line.name)}</text>"
