"""Trends as a table for a terminal, and as data for machines."""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from harness.history.change_points import ChangePoint
from harness.history.series import Point, Trend, Trends
from harness.reports.wording import NOT_MEASURED, clean, count, loss, number, rate, seconds, size

BARS = "▁▂▃▄▅▆▇█"
SPARK_WIDTH = 24
MAIN = ("eval_loss", "tokens_per_s", "eval_tokens_per_s", "time_to_first_step_s", "peak_rss.train",
        "peak_gpu_allocated.train")  # fmt: skip
"""Figures that a table shows of every series; others where they change."""
_MOST_CHANGES = 3


def render(history: Trends, *, every: bool = False) -> RenderableType:
    """Return one table a series, one line a figure, and a sentence on what is in no series.

    Args:
        history: The trends.
        every: Show each figure, not only the main ones and those that change.
    """
    parts: list[RenderableType] = []
    for series in history.series:
        shown = [t for t in series.trends if every or t.figure in MAIN or t.changes]
        parts += [Text(clean(series.title), style="bold"), Text(_span(series.trends), "dim")]
        parts += [_table(shown)] if shown else [Text("nothing was measured")]
        parts += [Text(line) for trend in shown for line in _changes(trend)]
        parts.append(Text())
    return Group(*parts, *(Text(line) for line in summary(history)))


def _table(trends: Sequence[Trend]) -> Table:
    view = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    view.add_column("figure", overflow="fold")
    for title in ("n", "first", "last", "change"):
        view.add_column(title, justify="right", no_wrap=True)
    view.add_column("trend", no_wrap=True)
    for trend in trends:
        view.add_row(
            clean(trend.figure),
            str(len(trend.points)),
            value(trend.figure, trend.first.value),
            value(trend.figure, trend.last.value),
            percent(trend.change) if len(trend.points) > 1 else NOT_MEASURED,
            spark([point.value for point in trend.points]),
        )
    return view


def summary(history: Trends) -> Iterator[str]:
    """Yield how many runs are in the series, and how many are not, each with its reason."""
    trends = [trend for series in history.series for trend in series.trends]
    found = sum(len(trend.changes) for trend in trends)
    yield (
        f"{count(history.runs, 'run')} in {len(history.series)} series, ordered by {history.order}; "
        f"{count(found, 'change point')} in {count(len(trends), 'trend')}."
    )
    for reason, amount in history.left_out.items():
        yield f"left out: {count(amount, 'run')}, {clean(reason)}"
    for file, reason in history.unreadable[:5]:
        yield f"cannot be read: {clean(file)} {clean(reason)}"
    if len(history.unreadable) > 5:
        yield f"cannot be read: {len(history.unreadable) - 5} more"


def spark(values: Sequence[float]) -> str:
    """Draw values as a line of bars, the mean of each stretch; `x` where none is finite."""
    width = min(SPARK_WIDTH, len(values))
    cuts = [len(values) * index // width for index in range(width + 1)] if width else [0]
    stretches = [[v for v in values[a:b] if math.isfinite(v)] for a, b in pairwise(cuts)]
    means = [math.fsum(v / len(stretch) for v in stretch) for stretch in stretches if stretch]
    low, high = min(means, default=0.0), max(means, default=0.0)
    drawn = iter(means)
    # A spread below 1 % of the value is drawn flat: noise must not look like a mountain.
    room = max(high - low, abs(high) * 0.01)
    bars = (min(len(BARS) - 1, int((m - low) / room * len(BARS))) if room else 0 for m in drawn)
    return "".join(BARS[next(bars)] if stretch else "x" for stretch in stretches)


def value(figure: str, amount: float) -> str:
    """Write a figure with its unit."""
    if figure == "eval_loss":
        return loss(amount)
    if figure.startswith("peak_"):
        return size(round(amount)) if math.isfinite(amount) else number(amount)
    return f"{rate(amount)}/s" if figure.endswith("_per_s") else seconds(amount)


def percent(share: float) -> str:
    """Write a relative change with its sign."""
    if not math.isfinite(share):
        return NOT_MEASURED
    return f"{100 * share:+.1f} %" if abs(share) < 100 else f"{100 * share:+.2g} %"


def change_words(trend: Trend, change: ChangePoint) -> str:
    """Say how a figure changes, to the worse or the better, and where."""
    word = "worse" if trend.is_worse(change) else "better"
    return (
        f"{percent(change.change)} ({word}) {clean(trend.since(change))}, p = {change.p_value:.1g}"
    )


def _changes(trend: Trend) -> Iterator[str]:
    for change in trend.changes[-_MOST_CHANGES:]:
        yield f"  {clean(trend.figure)} {change_words(trend, change)}"
    if len(trend.changes) > _MOST_CHANGES:
        yield f"  {clean(trend.figure)}: {len(trend.changes) - _MOST_CHANGES} earlier changes"


def _span(trends: Sequence[Trend]) -> str:
    points = [point for trend in trends for point in (trend.first, trend.last)]
    if not points:
        return ""
    first, last = min(points, key=_time), max(points, key=_time)
    return f"{first.when:%Y-%m-%d} ... {last.when:%Y-%m-%d}; {_releases(trends)}"


def _time(point: Point) -> float:
    return point.when.timestamp()


def _releases(trends: Sequence[Trend]) -> str:
    releases = sorted({p.release for t in trends for p in t.points}, key=lambda r: r.order)
    labels = [clean(release.label) for release in releases]
    return " ".join(labels) if len(labels) < 7 else f"{labels[0]} ... {labels[-1]} ({len(labels)})"


def as_data(history: Trends, page: Path) -> dict[str, Any]:
    """Return everything as plain JSON values; times are ISO 8601 in UTC, figures are in base units."""
    return {
        "order": history.order,
        "runs": history.runs,
        "series": [
            {
                "name": series.name,
                "apart": series.apart,
                "emulated": series.comparable.hardware_kind == "emulated",
                "comparable": series.comparable.model_dump(mode="json"),
                "figures": {trend.figure: _trend_data(trend) for trend in series.trends},
            }
            for series in history.series
        ],
        "left_out": history.left_out,
        "unreadable": [{"file": file, "reason": reason} for file, reason in history.unreadable],
        "page": str(page),
    }


def _trend_data(trend: Trend) -> dict[str, Any]:
    return {
        "n": len(trend.points),
        "first": _finite(trend.first.value),
        "last": _finite(trend.last.value),
        "change": _finite(trend.change),
        "points": [
            {
                "cell_id": point.cell_id,
                "release": point.release.label,
                "started_at": point.when.isoformat(),
                "value": _finite(point.value),
            }
            for point in trend.points
        ],
        "change_points": [
            {
                "index": change.index,
                "where": trend.since(change),
                "before": change.before,
                "after": change.after,
                "change": _finite(change.change),
                "worse": trend.is_worse(change),
                "p_value": change.p_value,
            }
            for change in trend.changes
        ],
    }


def _finite(number: float) -> float | None:
    # JSON has no NaN, and those who read this may not have Python's.
    return number if math.isfinite(number) else None
