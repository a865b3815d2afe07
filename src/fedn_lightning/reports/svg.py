"""Line charts as SVG text: small, sharp at every size, and without a library.

Colours come from classes that the style sheet of :mod:`.page.skeleton` fills in, for light and for dark screens.
"""

from __future__ import annotations

import html
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from fedn_lightning.events import FloatArray

WIDTH, HEIGHT = 380, 280
LEFT, RIGHT, TOP, BOTTOM = 44, 12, 46, 40
INNER_WIDTH, INNER_HEIGHT = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
COLOURS = 8
"""Classes `c0` to `c7` of the style sheet, one for each line in turn."""
TICKS = 5
LEGEND_ROW = 15
"""Height of a row of the legend."""
LETTER = 6.2
"""Width of a letter of the legend; it only has to be about right."""

Range = tuple[float, float]


@dataclass(frozen=True)
class Line:
    """A curve: its name in the legend (none if empty), `(K,)` abscissae and `(K,)` ordinates.

    A `faint` line is one of many of a kind: thin, pale, and of the colour of the first.
    """

    name: str
    x: FloatArray
    y: FloatArray
    faint: bool = False


@dataclass(frozen=True)
class Mark:
    """A dashed vertical line at an abscissa, with a word beside it."""

    x: float
    label: str = ""


def line_chart(
    title: str,
    x_label: str,
    y_label: str,
    lines: Sequence[Line],
    x_range: Range = (0.0, 1.0),
    y_range: Range = (0.0, 1.0),
    marks: Sequence[Mark] = (),
) -> str:
    """Draws curves.

    Args:
        title: above the chart.
        x_label: below the axis.
        y_label: beside the axis.
        lines: the curves; what lies outside the range of abscissae is left out, ordinates are cut off.
        x_range: first and last abscissa.
        y_range: least and greatest ordinate.
        marks: abscissae that stand out; those outside the range are left out.

    Returns:
        An `<svg>` element.
    """
    place = _Place(_widened(x_range), _widened(y_range))
    strong = [line for line in lines if not line.faint]
    legend = _legend_places([line.name for line in strong])
    above = LEGEND_ROW * max((row for _, row in legend), default=0)
    parts = [
        f'<svg class="chart" viewBox="0 {-above} {WIDTH} {HEIGHT + above}" role="img" '
        f'aria-label="{html.escape(title)}" xmlns="http://www.w3.org/2000/svg">',
        f'<text class="title" x="{LEFT}" y="{15 - above}">{html.escape(title)}</text>',
        *_axes(x_label, y_label, place),
        *(element for mark in marks for element in _mark(mark, place)),
        *(_curve(line, "faint", place) for line in lines if line.faint),
        *(_curve(line, f"c{k % COLOURS}", place) for k, line in enumerate(strong)),
        *(
            _entry(k, line.name, x, 35 - above + LEGEND_ROW * row)
            for k, (line, (x, row)) in enumerate(zip(strong, legend, strict=True))
            if line.name
        ),
        "</svg>",
    ]
    return "\n".join(parts)


@dataclass(frozen=True)
class _Place:
    """Where a point of the data lies in the picture."""

    x_range: Range
    y_range: Range

    def x(self, value: FloatArray | float) -> FloatArray:
        low, high = self.x_range
        return np.asarray(LEFT + (np.asarray(value) - low) / (high - low) * INNER_WIDTH)

    def y(self, value: FloatArray | float) -> FloatArray:
        low, high = self.y_range
        part = np.clip((np.asarray(value) - low) / (high - low), 0, 1)
        return np.asarray(TOP + (1 - part) * INNER_HEIGHT)


def _widened(limits: Range) -> Range:
    """A range that can be divided by."""
    return limits if limits[1] > limits[0] else (limits[0] - 0.5, limits[0] + 0.5)


def _axes(x_label: str, y_label: str, place: _Place) -> Iterator[str]:
    for k in range(TICKS + 1):
        x, y = (low + k / TICKS * (high - low) for low, high in (place.x_range, place.y_range))
        yield f'<path class="grid" d="M{LEFT} {place.y(y):.1f}h{INNER_WIDTH}"/>'
        yield f'<text x="{place.x(x):.0f}" y="{TOP + INNER_HEIGHT + 14}" text-anchor="middle">{x:.3g}</text>'
        yield f'<text x="{LEFT - 6}" y="{place.y(y) + 4:.0f}" text-anchor="end">{y:.3g}</text>'
    middle = LEFT + INNER_WIDTH / 2
    yield f'<text class="soft" x="{middle}" y="{HEIGHT - 8}" text-anchor="middle">{html.escape(x_label)}</text>'
    turned = f'transform="translate(11 {TOP + INNER_HEIGHT / 2}) rotate(-90)" text-anchor="middle"'
    yield f'<text class="soft" {turned}>{html.escape(y_label)}</text>'


def _curve(line: Line, name: str, place: _Place) -> str:
    low, high = place.x_range
    inside = (line.x >= low) & (line.x <= high) & np.isfinite(line.y)
    xs, ys = place.x(line.x[inside]), place.y(line.y[inside])
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(xs, ys, strict=True))
    dot = f'<circle class="{name} dot" cx="{xs[0]:.1f}" cy="{ys[0]:.1f}" r="2.5"/>' if len(xs) == 1 else ""
    return f'<polyline class="{name}" points="{points}"/>{dot}'


def _mark(mark: Mark, place: _Place) -> Iterator[str]:
    low, high = place.x_range
    if not low <= mark.x <= high:
        return
    x = float(place.x(mark.x))
    yield f'<path class="mark" d="M{x:.1f} {TOP}v{INNER_HEIGHT}"/>'
    if mark.label:
        left = x > LEFT + INNER_WIDTH / 2
        side = f'x="{x - 4:.1f}" text-anchor="end"' if left else f'x="{x + 4:.1f}"'
        yield f'<text class="soft" {side} y="{TOP + 11}">{html.escape(mark.label)}</text>'


def _legend_places(names: Sequence[str]) -> list[tuple[float, int]]:
    """Abscissa and row of each entry of the legend, which takes as many rows as it needs."""
    places, x, row = [], float(LEFT), 0
    for name in names:
        width = 32 + LETTER * len(name) if name else 0.0
        if x > LEFT and x + width > WIDTH:
            x, row = float(LEFT), row + 1
        places.append((x, row))
        x += width
    return places


def _entry(index: int, name: str, x: float, y: float) -> str:
    """A line of the legend: a stroke in the line's colour, and its name."""
    stroke = f'<path class="c{index % COLOURS}" d="M{x:.0f} {y - 4:.0f}h14"/>'
    return f'{stroke}<text x="{x + 18:.0f}" y="{y:.0f}">{html.escape(name)}</text>'
