"""The eval_loss of each cell over its releases, in one figure with the band that counts as equal."""

from collections.abc import Sequence
from dataclasses import dataclass

from harness.loss_shift import SAME_DTYPE, TRAINED
from harness.releases import family_of, release_of
from harness.reports.axes import Point, is_drawn
from harness.reports.curves import STYLES, Curve
from harness.reports.facts import severity
from harness.reports.tables import eval_points
from harness.reports.views import CellView
from harness.verdict import Outcome


@dataclass(frozen=True)
class Band:
    """Where another release's eval_loss counts as equal to that of a cell which passes."""

    around: CellView
    edges: tuple[tuple[float, float, float], ...]
    """Epoch, lower and upper eval_loss."""


@dataclass(frozen=True)
class Line:
    """One entry of a figure's legend."""

    view: CellView
    curve: Curve


@dataclass(frozen=True)
class Figure:
    """One cell over its releases and the reference: what shares hardware, dtype and recipe."""

    name: str
    lines: tuple[Line, ...]
    band: Band | None
    without: tuple[CellView, ...]
    """Cells that have no evaluation to draw."""


def figures(views: Sequence[CellView]) -> list[Figure]:
    """Arrange one figure per hardware, dtype and recipe, those with a red cell first."""
    families: dict[object, list[CellView]] = {}
    for view in views:
        families.setdefault(family_of(view.record), []).append(view)
    found = [_figure(members) for members in families.values()]
    worst = [min(severity(view.cell) for view in members) for members in families.values()]
    return [figure for _, figure in sorted(zip(worst, found, strict=True), key=lambda one: one[0])]


def _figure(members: Sequence[CellView]) -> Figure:
    ordered = sorted(members, key=_place)
    drawn = [view for view in ordered if view.record.evaluations]
    lines = [
        Line(
            view,
            Curve(
                view.label,
                eval_points(view.record),
                place if place < STYLES else None,
                bold=view.outcome.is_red,
            ),
        )
        for place, view in enumerate(drawn)
    ]
    first = next((line for line in lines if line.view.outcome is Outcome.PASS), None)
    return Figure(
        family_of(ordered[0].record).name,
        tuple(lines),
        _band(first.view, first.curve.points) if first else None,
        tuple(view for view in ordered if not view.record.evaluations),
    )


def _place(view: CellView) -> tuple[bool, object]:
    # Releases oldest first, then what has no place among them.
    release = release_of(view.record, view.cell.place)
    return (False, release.order) if release else (True, view.label)


def _band(around: CellView, points: Sequence[Point]) -> Band:
    edges = []
    for epoch, loss in points:
        if loss is not None and is_drawn(loss):
            limit = SAME_DTYPE if epoch == 0 else TRAINED
            edges.append((epoch, loss * (1 - limit), loss * (1 + limit)))
    return Band(around, tuple(edges))
