"""Speed and memory of every cell, each figure with its interval and the baseline's band."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from harness.figures import (
    MIN_STEADY_STEPS,
    memory_figures,
    steady_evaluations,
    steady_steps,
    throughput_figures,
)
from harness.reports import facts, intervals
from harness.reports.intervals import Interval
from harness.reports.views import CellView

_WIDTH = 132.0


@dataclass(frozen=True)
class Measured:
    """One figure of one cell."""

    interval: Interval
    band: tuple[float, float] | None
    """What its baseline allows."""

    @property
    def reach(self) -> float:
        """The largest value that is drawn."""
        band = self.band[1] if self.band else self.interval.value
        return max(self.interval.value, self.interval.high or 0.0, band)


@dataclass(frozen=True)
class SpeedRow:
    """What was measured of one cell; None where it was not."""

    view: CellView
    tokens_per_s: Measured | None
    eval_s: Measured | None
    memory: Measured | None
    memory_kind: str
    """`GPU` or `RSS`, and the phase."""


def rows(views: Sequence[CellView]) -> list[SpeedRow]:
    """Arrange the figures of every cell; empty where none measured any."""
    found = [_row(view) for view in views]
    return found if any(row.tokens_per_s or row.eval_s or row.memory for row in found) else []


def scale(shown: Sequence[SpeedRow], name: str) -> float:
    """Return the largest value of one figure over all rows: the right edge of its drawings."""
    known: list[Measured | None] = [getattr(row, name) for row in shown]
    return float(max((one.reach for one in known if one), default=1.0))


def drawing(measured: Measured, edge: float) -> Markup:
    """Draw a figure on a scale from 0: a dot, a bar for its interval, a box for the baseline's band.

    The numbers stand beside it; it is hidden from those who hear the page.
    """

    def x(value: float) -> float:
        return 4 + (_WIDTH - 8) * min(1.0, max(0.0, value / edge)) if edge > 0 else 4.0

    parts = [f'<path class="axis" d="M4 8H{_WIDTH - 4:g}"/>']
    if measured.band:
        low, high = map(x, measured.band)
        parts.append(f'<path class="band" d="M{low:.1f} 2H{high:.1f}V14H{low:.1f}z"/>')
    known = measured.interval
    if known.low is not None and known.high is not None:
        low, high = x(known.low), x(known.high)
        parts.append(f'<path class="spread" d="M{low:.1f} 8H{high:.1f}"/>')
    parts.append(f'<circle cx="{x(known.value):.1f}" cy="8" r="3"/>')
    return Markup(  # noqa: S704 (numbers of our own)
        f'<svg class="dots chart" viewBox="0 0 {_WIDTH:g} 16" aria-hidden="true">{"".join(parts)}</svg>'
    )


def _row(view: CellView) -> SpeedRow:
    record = view.record
    figures = throughput_figures(record)
    steady = steady_steps(record.steps)
    tokens = evaluation = None
    if "tokens_per_s" in figures and len(steady) >= MIN_STEADY_STEPS:
        known = intervals.of_median(
            figures["tokens_per_s"], [step.tokens / step.wall_s for step in steady]
        )
        tokens = Measured(known, _band(view, "throughput", "tokens_per_s"))
    if "eval_s" in figures:
        walls = [one.wall_s for one in steady_evaluations(record.evaluations)]
        known = intervals.of_range([figures["eval_s"], *walls])
        evaluation = Measured(known, _band(view, "throughput", "eval_s"))
    memory, kind = _memory(view)
    return SpeedRow(view, tokens, evaluation, memory, kind)


def _memory(view: CellView) -> tuple[Measured | None, str]:
    name = facts.peak_figure(view.record)
    if name is None:
        return None, ""
    runs = [view.record, *view.cell.repeats]
    peaks = [figures[name] for run in runs if name in (figures := memory_figures(run))]
    measured = Measured(intervals.of_range(peaks), _band(view, "memory", name))
    return measured, f"{facts.memory_kind(name)} in {name.split('.', 1)[1]}"


def _band(view: CellView, check: str, figure: str) -> tuple[float, float] | None:
    found: dict[str, Any] = next(
        (v.evidence.get("bands", {}) for v in view.cell.verdicts if v.check == check), {}
    )
    band = found.get(figure) if isinstance(found, dict) else None
    return (band["low"], band["high"]) if band else None
