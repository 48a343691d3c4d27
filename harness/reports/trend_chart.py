"""One figure over many runs as inline SVG: every run a dot, every level a line, every change a mark."""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

from markupsafe import Markup, escape

from harness.history.series import Trend
from harness.reports.axes import Scale, is_drawn, thin, value_scale
from harness.reports.curves import in_words
from harness.reports.history import percent
from harness.reports.wording import clean, number, one_line

WIDTH, HEIGHT = 720, 190
LEFT, RIGHT, TOP, BOTTOM = 64, 12, 24, 24
MOST_DOTS = 300
_LABEL_WIDTH = 7.0
"""Pixels of a character, for labels not to overlap."""
_DOT = "h.1"
"""A stroke with round ends: a tenth of the bytes of a circle."""
_CROSS = "m-3.5 -3.5l7 7m0 -7l-7 7"


def draw(trend: Trend) -> Markup:
    """Draw a trend.

    x is the number of the run; a release begins at a vertical line with its name, or the day where
    all runs are of one release. Of more runs than `MOST_DOTS` the lowest and highest of each stretch
    are drawn. A value that is not finite is a cross on the top edge. Bytes are shown in MiB.
    """
    unit = 2.0**20 if trend.figure.startswith("peak_") else 1.0
    values = [point.value / unit for point in trend.points]
    x = Scale(0, max(1, len(values) - 1), LEFT + 6, WIDTH - RIGHT - 6)
    y = value_scale(values, HEIGHT - BOTTOM, TOP)
    parts = [*_grid(y), *_releases(trend, x), *_dots(values, x, y), *_levels(trend, values, x, y)]
    words = f"{trend.figure} of {len(values)} runs: {in_words(values)}"
    return Markup(  # noqa: S704 (numbers of our own, and text escaped here and in _releases)
        f'<svg class="chart trend s0" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" '
        f'aria-label="{escape(clean(words))}">{"".join(parts)}</svg>'
    )


def _grid(y: Scale) -> Iterator[str]:
    for value in y.ticks(4):
        at = y(value)
        yield f'<path class="grid" d="M{LEFT} {at:.1f}H{WIDTH - RIGHT}"/>'
        yield f'<text class="y" x="{LEFT - 7}" y="{at + 4:.1f}">{escape(number(value))}</text>'
    yield f'<path class="axis" d="M{LEFT} {HEIGHT - BOTTOM}H{WIDTH - RIGHT}"/>'


def _releases(trend: Trend, x: Scale) -> Iterator[str]:
    """Yield a line and a label where a release begins; the days at both ends below the axis."""
    free = 0.0
    for index, point in enumerate(trend.points):
        if index and trend.points[index - 1].release == point.release:
            continue
        at, label = x(index), one_line(point.release.label, 24)
        if index:
            # Between the two runs, so that neither dot is on the line.
            at = (at + x(index - 1)) / 2
            yield f'<path class="grid" d="M{at:.1f} {TOP - 8}V{HEIGHT - BOTTOM}"/>'
        end = at + len(label) * _LABEL_WIDTH
        if at >= free and end <= WIDTH:
            yield f'<text x="{at + 3:.1f}" y="{TOP - 10}">{escape(label)}</text>'
            free = end + 6
    below = HEIGHT - BOTTOM + 16
    yield f'<text x="{LEFT}" y="{below}">{trend.first.when:%Y-%m-%d}</text>'
    if len(trend.points) > 1:
        yield f'<text class="y" x="{WIDTH - RIGHT}" y="{below}">{trend.last.when:%Y-%m-%d}</text>'


def _dots(values: Sequence[float], x: Scale, y: Scale) -> Iterator[str]:
    points = thin([(float(index), value) for index, value in enumerate(values)], MOST_DOTS)
    dots = "".join(f"M{x(at):.1f} {y(v):.1f}{_DOT}" for at, v in points if is_drawn(v))
    crosses = "".join(f"M{x(at):.1f} {TOP}{_CROSS}" for at, v in points if not is_drawn(v))
    yield f'<path class="dot" d="{dots}"/>' if dots else ""
    yield f'<path class="cross" d="{crosses}"/>' if crosses else ""


def _levels(trend: Trend, values: Sequence[float], x: Scale, y: Scale) -> Iterator[str]:
    """Yield the mean of each stretch between changes, and at each change how far it goes."""
    cuts = [0, *(change.index for change in trend.changes), len(values)]
    for start, end in pairwise(cuts):
        drawn = [value for value in values[start:end] if is_drawn(value)]
        if drawn:
            at = y(math.fsum(value / len(drawn) for value in drawn))
            yield f'<path class="line" d="M{x(start):.1f} {at:.1f}H{x(end - 1):.1f}"/>'
    for change in trend.changes:
        at = (x(change.index) + x(change.index - 1)) / 2
        sign = "worse" if trend.is_worse(change) else "better"
        side, gap = (' class="y"', -5) if at > WIDTH / 2 else ("", 5)
        yield f'<path class="change {sign}" d="M{at:.1f} {TOP}V{HEIGHT - BOTTOM}"/>'
        yield (
            f'<text{side} x="{at + gap:.1f}" y="{HEIGHT - BOTTOM - 6}">'
            f"{percent(change.change)} {sign}</text>"
        )
