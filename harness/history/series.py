"""Trends: figures of comparable runs in the order of their releases or dates, and where they change."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from fnmatch import fnmatchcase

from packaging.version import InvalidVersion, Version

from harness.baselines.baseline import Comparable
from harness.conditions import TIMED
from harness.errors import SelectionError
from harness.figures import family, worse
from harness.history.change_points import ChangePoint, find_change_points
from harness.history.record_query import Found, Run
from harness.record import with_emulation
from harness.releases import Release

MIN_CHANGE = 0.01
"""Relative change of a speed, a duration or a peak of memory that is worth a line: a policy."""
MIN_LOSS_CHANGE = 0.001
"""The same for eval_loss, which repeats to the bit on one machine."""


class Order(StrEnum):
    """What comes first: an older release, or an earlier day."""

    RELEASE = "release"
    DATE = "date"


@dataclass(frozen=True)
class Point:
    """One run in a trend."""

    release: Release
    when: datetime
    cell_id: str
    value: float

    @property
    def place(self) -> str:
        """The release and the day."""
        return f"{self.release.label}, {self.when:%Y-%m-%d}"


@dataclass(frozen=True)
class Trend:
    """One figure over the runs of a series that have it; never empty."""

    figure: str
    points: tuple[Point, ...]
    changes: tuple[ChangePoint, ...]

    @property
    def first(self) -> Point:
        """The first run."""
        return self.points[0]

    @property
    def last(self) -> Point:
        """The last run."""
        return self.points[-1]

    @property
    def change(self) -> float:
        """The relative change from the first run to the last; NaN from 0."""
        return self.last.value / self.first.value - 1 if self.first.value else math.nan

    def is_worse(self, change: ChangePoint) -> bool:
        """Whether a change is to the worse, as `harness.figures.worse` has it."""
        return (change.after < change.before) == (worse(self.figure) == "lower")

    def since(self, change: ChangePoint) -> str:
        """Say where a change is: at a release, or between two runs of one."""
        before, after = self.points[change.index - 1], self.points[change.index]
        if before.release == after.release:
            return f"within {after.release.label}, from {after.when:%Y-%m-%d} on"
        return f"{before.release.label} -> {after.release.label}, from {after.when:%Y-%m-%d} on"


@dataclass(frozen=True)
class Series:
    """Runs that may be compared, over any number of releases.

    Attributes:
        name: Stack family, hardware, dtype and recipe, saying `emulated`.
        apart: What tells it from another series of the same name; empty where there is none.
    """

    name: str
    comparable: Comparable
    trends: tuple[Trend, ...]
    apart: str = ""

    @property
    def title(self) -> str:
        """The name, and what tells it from another."""
        return f"{self.name} [{self.apart}]" if self.apart else self.name


@dataclass(frozen=True)
class Trends:
    """Every series, and what is in none.

    Attributes:
        runs: How many runs are in a series.
        left_out: Reason -> how many runs.
        unreadable: File, and what is wrong with it.
    """

    order: Order
    runs: int
    series: tuple[Series, ...]
    left_out: dict[str, int]
    unreadable: tuple[tuple[str, str], ...]


_DISTURBED = "times of a throttled or shared machine; its memory and losses are in"


@dataclass(frozen=True)
class _Placed:
    run: Run
    release: Release
    when: datetime


def trace(
    found: Found,
    *,
    cells: Sequence[str] = (),
    figures: Sequence[str] = (),
    since: datetime | None = None,
    order: Order = Order.RELEASE,
) -> Trends:
    """Put runs into series and find where their figures change.

    A run that ran another way than a plain one (fault, extras, preloaded), that did not complete, or
    that has no place in the order is in no series; it is counted with its reason. So are runs on a
    disturbed machine, whose times are in no trend.

    Args:
        found: What `harness.history.record_query.find_runs` found.
        cells: Patterns (`fnmatch`) of cell ids, or of ids without their stack; none for all.
        figures: Patterns of figures; none for all.
        since: Earlier runs are passed over.
        order: Of the runs in a series.

    Raises:
        SelectionError: No run is of such a cell, or none has such a figure.
        MissingExtraError: Otava is not installed.
    """
    chosen = [run for run in found.runs if _is_of(run, cells)]
    if cells and not chosen:
        known = sorted({run.setting.cell_id for run in found.runs})
        raise SelectionError(
            f"no run of a cell like {', '.join(cells)}; there are runs of {', '.join(known) or 'none'}."
        )
    names = {name for run in chosen for name in run.figures if _matches(name, figures)}
    if chosen and not names:
        known = sorted({name for run in chosen for name in run.figures})
        raise SelectionError(f"no figure like {', '.join(figures)}; there are {', '.join(known)}.")
    left_out: Counter[str] = Counter()
    groups: dict[tuple[str, Comparable], list[_Placed]] = defaultdict(list)
    for run in chosen:
        placed = _place(run)
        if isinstance(placed, str):
            left_out[placed] += 1
        elif since is None or placed.when >= since:
            left_out[_DISTURBED] += any(not _counts(run, name) for name in run.figures)
            groups[_name(run), run.setting.comparable].append(placed)
    series = [
        Series(name, comparable, tuple(_trends(placed, names, order)))
        for (name, comparable), placed in sorted(
            groups.items(), key=lambda i: (i[0][0], str(i[0][1]))
        )
    ]
    return Trends(
        order,
        sum(map(len, groups.values())),
        tuple(_told_apart(series)),
        {reason: amount for reason, amount in left_out.most_common() if amount},
        tuple(sorted(found.unreadable)),
    )


def _counts(run: Run, figure: str) -> bool:
    """Whether the machine was undisturbed while a figure was timed; memory and losses always count."""
    return not run.disturbed or set(run.disturbed).isdisjoint(TIMED.get(family(figure), ()))


def _is_of(run: Run, patterns: Sequence[str]) -> bool:
    cell_id = run.setting.cell_id
    return _matches(cell_id, patterns) or _matches(cell_id.partition("/")[2], patterns)


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)


def _place(run: Run) -> _Placed | str:
    """Return where a run is in the order, or why it is in no series."""
    setting = run.setting
    if setting.fault is not None:
        return "fault injected"
    if setting.extras:
        return f"ran with extras ({', '.join(setting.extras)})"
    if setting.comparable.preloaded:
        return "forked from a preloaded process"
    if setting.status != "COMPLETED":
        return f"ended as {setting.status}"
    try:
        Version(setting.release)
    except InvalidVersion:
        return "release is no version"
    try:
        when = datetime.fromisoformat(run.started_at)
        when = when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return "started_at is no time"
    return _Placed(run, _release(run), when)


def _release(run: Run) -> Release:
    setting = run.setting
    numbered = setting.stack == f"{setting.comparable.stack_family}-{setting.release}"
    # The reference stack of a release is of that release.
    return Release(f"unsloth-{setting.release}" if numbered else setting.stack, setting.release)


def _name(run: Run) -> str:
    keys = run.setting.comparable
    name = f"{keys.stack_family} {keys.hardware}/{keys.dtype_request}/{run.setting.recipe}"
    return with_emulation(name, run.setting.emulation)


def _trends(placed: list[_Placed], names: set[str], order: Order) -> Iterable[Trend]:
    if order is Order.RELEASE:
        placed = sorted(placed, key=lambda p: (p.release.order, p.when, p.run.repeat))
    else:
        placed = sorted(placed, key=lambda p: (p.when, p.release.order, p.run.repeat))
    for figure in sorted(names):
        points = tuple(
            Point(p.release, p.when, p.run.setting.cell_id, p.run.figures[figure])
            for p in placed
            if figure in p.run.figures and _counts(p.run, figure)
        )
        if points:
            least = MIN_LOSS_CHANGE if figure == "eval_loss" else MIN_CHANGE
            changes = find_change_points([point.value for point in points], least)
            yield Trend(figure, points, tuple(changes))


def _told_apart(series: Sequence[Series]) -> Iterable[Series]:
    for one in series:
        alike = [other for other in series if other.name == one.name]
        keys = {key for other in alike for key in one.comparable.differences(other.comparable)}
        told = [
            f"{key} {value}" for key, value in one.comparable.model_dump().items() if key in keys
        ]
        yield replace(one, apart=", ".join(told))
