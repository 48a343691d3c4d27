"""Charts as inline SVG: no script, no font, no colour that carries a meaning alone."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup, escape

from harness.reports.axes import Point, Scale, is_drawn, runs, thin, value_scale
from harness.reports.wording import clean, count, loss, number, one_line

STYLES = 8
"""Line styles in the style sheet, s0 ... s7: each its own colour, dash pattern and marker."""

_SHAPES = (
    "m-3.5 0a3.5 3.5 0 1 0 7 0a3.5 3.5 0 1 0-7 0z",  # circle
    "m-3 -3h6v6h-6z",  # square
    "m0 -4.2l4 7h-8z",  # triangle
    "m0 -4.4l4.4 4.4l-4.4 4.4l-4.4 -4.4z",  # diamond
    "m0 4.2l4 -7h-8z",  # triangle, point down
    "m-4 -1.2h8v2.4h-8z",  # bar
    "m-1.2 -4h2.4v8h-2.4z",  # upright bar
    "m-4 -4l4 2l4 -2l-2 4l2 4l-4 -2l-4 2l2 -4z",  # star
)
Edges = tuple[float, float, float]
"""x, and the lower and the upper y of a band there."""

_MAX_X = 1e12  # steps and epochs; a corrupt one must not stretch the axis
_CROSS = "m-3.5 -3.5l7 7m0 -7l-7 7"


@dataclass(frozen=True)
class Curve:
    """One line: its points, and its style of 0 ... 7 or None for grey context."""

    name: str
    points: Sequence[Point]
    style: int | None = 0
    bold: bool = False


@dataclass(frozen=True)
class Frame:
    """Size of a chart and its margins, in pixels of its own view box."""

    width: int
    height: int
    left: int
    right: int = 12
    top: int = 14
    bottom: int = 22
    x_ticks: int = 6
    y_ticks: int = 5


FAMILY = Frame(460, 250, left=50, top=26, bottom=36)
SMALL = Frame(300, 128, left=46, right=8, x_ticks=3, y_ticks=4)


def comparison(curves: Sequence[Curve], title: str, band: Sequence[Edges] = ()) -> Markup:
    """Draw the eval_loss of several cells over epochs in one frame.

    Args:
        curves: x is the epoch, y the eval_loss; a non-finite value is drawn as a cross on the top
            edge, a missing one is a gap.
        title: Read out in place of the picture.
        band: Epoch, lower and upper edge of a band to draw behind them.
    """
    return _chart(curves, title, FAMILY, axis=("epoch", "eval_loss"), markers=True, band=band)


def small(
    points: Sequence[Point],
    title: str,
    *,
    markers: bool = False,
    skipped: Sequence[float] = (),
    log: bool = False,
    limit: float | None = None,
) -> Markup:
    """Draw one small curve with its own scale.

    Args:
        points: x and y.
        title: What the curve is; its first, last and extreme values are read out after it.
        markers: Whether every point gets a mark.
        skipped: x of optimizer steps that did not change the parameters, ticked on the lower edge.
        log: Whether y is logarithmic; ignored unless all values are positive.
        limit: A value to draw a dashed line at.
    """
    curve = Curve(title, thin(points, 120))
    words = f"{title}: {in_words([y for _, y in points])}"
    return _chart([curve], words, SMALL, markers=markers, skipped=skipped, log=log, limit=limit)


def pair(old: Sequence[Point], new: Sequence[Point], title: str) -> Markup:
    """Draw one figure before and after a change, the old one in style 0 and the new one in 1.

    Args:
        old: x and y.
        new: x and y.
        title: Read out in place of the picture.
    """
    drawn = [Curve("old", thin(old, 60), 0), Curve("new", thin(new, 60), 1)]
    return _chart(drawn, title, SMALL, markers=True)


def key(style: int | None) -> Markup:
    """Draw the sample of a line style for a legend."""
    mark = "" if style is None else f'<path class="mark" d="M16 7{_SHAPES[style]}"/>'
    return Markup(  # noqa: S704 (nothing of a record)
        f'<svg class="key {_css(style)}" viewBox="0 0 32 14" width="32" height="14" '
        f'aria-hidden="true"><path class="line" d="M1 7H31"/>{mark}</svg>'
    )


def band_key() -> Markup:
    """Draw the sample of a band for a legend."""
    return Markup(
        '<svg class="key chart" viewBox="0 0 32 14" width="32" height="14" aria-hidden="true">'
        '<path class="band" d="M1 2H31V12H1z"/></svg>'
    )


def in_words(values: Sequence[float | None]) -> str:
    """Say in words what a curve shows, for those who do not see it."""
    finite = [value for value in values if value is not None and math.isfinite(value)]
    missing = sum(value is None for value in values)
    parts = []
    if finite:
        parts.append(f"first {number(finite[0])}, last {number(finite[-1])}")
        parts.append(f"lowest {number(min(finite))}, highest {number(max(finite))}")
    if odd := len(values) - len(finite) - missing:
        parts.append(f"{count(odd, 'value')} of {len(values)} not finite")
    if missing:
        parts.append(f"{missing} of {len(values)} not reported")
    return "; ".join(parts) or "nothing was measured"


def _chart(
    curves: Sequence[Curve],
    words: str,
    frame: Frame,
    *,
    axis: tuple[str, str] = ("", ""),
    markers: bool = False,
    skipped: Sequence[float] = (),
    log: bool = False,
    limit: float | None = None,
    band: Sequence[Edges] = (),
) -> Markup:
    band = [edges for edges in band if abs(edges[0]) < _MAX_X]
    curves = [replace(c, points=[p for p in c.points if abs(p[0]) < _MAX_X]) for c in curves]
    ys = [y for curve in curves for _, y in curve.points if is_drawn(y)]
    ys += [y for _, *both in band for y in both if is_drawn(y)]
    xs = [x for curve in curves for x, _ in curve.points] or [0.0, 1.0]
    if limit is not None:
        ys.append(limit)
    x = Scale(min(xs), max(xs) if max(xs) > min(xs) else min(xs) + 1, frame.left + 6.0,
              frame.width - frame.right - 6.0)  # fmt: skip
    y = value_scale(ys, frame.height - frame.bottom, frame.top, log=log and min(ys, default=0) > 0)
    parts = [*_grid(x, y, frame, axis), *_band(band, x, y)]
    if limit is not None:
        edge, at = frame.width - frame.right, y(limit)
        parts.append(f'<path class="limit" d="M{frame.left} {at:.1f}H{edge}"/>')
        parts.append(f'<text class="y" x="{edge}" y="{at + 14:.1f}">{limit:.6g}</text>')
    base = frame.height - frame.bottom
    if skipped:
        ticks = "".join(f"M{x(at):.1f} {base}v-7" for at in skipped)
        parts.append(f'<path class="lost" d="{ticks}"/>')
    # Coloured lines are drawn over grey ones.
    over = sorted(curves, key=lambda curve: curve.style is not None)
    parts += [_line(curve, x, y, frame, markers=markers) for curve in over]
    label = escape(clean(words))
    return Markup(  # noqa: S704 (numbers of our own, and text escaped above and in _line)
        f'<svg class="chart" viewBox="0 0 {frame.width} {frame.height}" role="img" '
        f'aria-label="{label}">{"".join(parts)}</svg>'
    )


def _grid(x: Scale, y: Scale, frame: Frame, axis: tuple[str, str]) -> list[str]:
    base, edge = frame.height - frame.bottom, frame.width - frame.right
    parts = [f'<path class="axis" d="M{frame.left} {base}H{edge}"/>']
    for value in y.ticks(frame.y_ticks):
        at, text = y(value), f"{value:.0e}".replace("e+0", "e") if y.log else f"{value:g}"
        parts.append(f'<path class="grid" d="M{frame.left} {at:.1f}H{edge}"/>')
        parts.append(f'<text class="y" x="{frame.left - 7}" y="{at + 4:.1f}">{text}</text>')
    parts += [
        f'<text class="x" x="{x(value):.1f}" y="{base + 16}">{value:g}</text>'
        for value in x.ticks(frame.x_ticks, whole=True)
    ]
    if axis[0]:
        parts.append(
            f'<text class="x" x="{(frame.left + edge) / 2:.0f}" y="{base + 34}">{axis[0]}</text>'
        )
        parts.append(f'<text x="{frame.left}" y="12">{axis[1]}</text>')
    return parts


def _band(band: Sequence[Edges], x: Scale, y: Scale) -> list[str]:
    if len(band) < 2:
        return []
    upper = [f"{x(at):.1f} {y(high):.1f}" for at, _, high in band]
    lower = [f"{x(at):.1f} {y(low):.1f}" for at, low, _ in reversed(band)]
    return [f'<path class="band" d="M{"L".join([*upper, *lower])}z"/>']


def _line(curve: Curve, x: Scale, y: Scale, frame: Frame, *, markers: bool) -> str:
    path = []
    for run in runs(curve.points):
        path.append("M" + "L".join(f"{x(at):.1f} {y(value):.1f}" for at, value in run))
        if len(run) == 1:
            path.append("h.1")
    parts = [f'<path class="line" d="{"".join(path)}"/>'] if path else []
    if frame is FAMILY:
        parts.insert(0, f"<title>{escape(one_line(curve.name, 160))}</title>")
    if markers and curve.style is not None:
        shape = _SHAPES[curve.style]
        marks = "".join(
            f"M{x(at):.1f} {y(value):.1f}{shape}" for run in runs(curve.points) for at, value in run
        )
        parts.append(f'<path class="mark" d="{marks}"/>')
    crosses = "".join(
        f"M{x(at):.1f} {frame.top}{_CROSS}"
        for at, value in curve.points
        if value is not None and not is_drawn(value)
    )
    if crosses:
        parts.append(f'<path class="cross" d="{crosses}"/>')
    name = f"{_css(curve.style)} bold" if curve.bold else _css(curve.style)
    return f'<g class="{name}">{"".join(parts)}</g>'


def _css(style: int | None) -> str:
    return "context" if style is None else f"s{style}"


def values(points: Sequence[Point], limit: int = 12) -> str:
    """Return every value of a curve; of a long one the first and last ones."""
    shown = [loss(value) for _, value in points]
    if len(shown) > limit:
        shown[limit // 2 : -limit // 2] = ["…"]
    return " ".join(shown) or "no evaluation"


def end_label(points: Sequence[Point]) -> str:
    """Return the first and the last value of a curve, as a legend shows them."""
    values = [value for _, value in points]
    return f"{loss(values[0])} → {loss(values[-1])}" if values else "no evaluation"
