"""The page of `harness history`: one self-contained HTML file with a plot of every trend."""

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from harness.history.series import Series, Trend, Trends
from harness.record import write_json_atomically
from harness.reports import history as table
from harness.reports import trend_chart
from harness.reports.html import template

PAGE_NAME = "history.html"
MOST_PLOTS = 200
"""What a page draws at most: trends with a change first, then the main figures."""
_MANY = 40
"""With more plots than this the browser lays them out only as they come into view."""


def write_page(history: Trends, reports: Path, now: datetime | None = None) -> Path:
    """Write the page below the reports folder, over the former one, and return its path.

    Raises:
        StorageError: Disk full or folder not writable.
    """
    path = reports / "runs" / PAGE_NAME
    write_json_atomically(path, render(history, now or datetime.now(UTC)))
    return path


@dataclass(frozen=True)
class Drawn:
    """The trends of one series that a page draws: at once, and folded away."""

    telling: tuple[Trend, ...]
    others: tuple[Trend, ...]


def render(history: Trends, now: datetime) -> str:
    """Render the page; everything that comes from a record is escaped."""
    drawn = _drawn(history)
    plots = sum(len(d.telling) + len(d.others) for d in drawn)
    return template("history.html.j2").render(
        history=history,
        now=now.isoformat(),
        summary=list(table.summary(history)),
        table=table,
        draw=trend_chart.draw,
        drawn=drawn,
        many=plots > _MANY,
        changes=_changes(history),
        left_out=sum(len(series.trends) for series in history.series) - plots,
    )


def _drawn(history: Trends) -> list[Drawn]:
    """Choose up to `MOST_PLOTS` trends: those that change first, then main figures."""
    trends = [(n, trend) for n, series in enumerate(history.series) for trend in series.trends]
    trends.sort(key=lambda item: (not item[1].changes, item[1].figure not in table.MAIN))
    of: dict[int, list[Trend]] = defaultdict(list)
    for number, trend in trends[:MOST_PLOTS]:
        of[number].append(trend)
    return [
        Drawn(
            tuple(t for t in of[number] if t.changes or t.figure in table.MAIN),
            tuple(t for t in of[number] if not t.changes and t.figure not in table.MAIN),
        )
        for number in range(len(history.series))
    ]


def _changes(history: Trends) -> list[tuple[Series, Trend, str]]:
    return [
        (series, trend, table.change_words(trend, change))
        for series in history.series
        for trend in series.trends
        for change in trend.changes
    ]
