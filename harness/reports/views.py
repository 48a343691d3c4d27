"""What the page shows, arranged: anchors, figures and shared facts, still without any HTML."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from harness.conditions import disturbances
from harness.gate import CellResult
from harness.record import Record
from harness.reports import differences
from harness.reports.answer import merged
from harness.reports.differences import Difference, Facts
from harness.reports.facts import labelled, red_verdicts
from harness.reports.wording import clean, plain, short
from harness.verdict import Outcome, Verdict

_LISTED_CELLS = 4
_LISTED_NAMES = 120


@dataclass(frozen=True)
class CellView:
    """One cell with its place on the page."""

    index: int
    anchor: str
    cell: CellResult

    @property
    def record(self) -> Record:
        """The record that was judged."""
        return self.cell.record

    @property
    def label(self) -> str:
        """The cell id, saying `emulated` when the hardware was."""
        return labelled(short(self.record.cell_id, 160), self.record)

    @property
    def outcome(self) -> Outcome:
        """The one outcome that stands for the cell."""
        return self.cell.outcome

    @property
    def red(self) -> list[Verdict]:
        """Verdicts that block an upgrade."""
        return red_verdicts(self.cell)

    @property
    def diagnosis(self) -> tuple[str, ...]:
        """Causes that the red verdicts name, each once."""
        return merged(verdict.diagnosis for verdict in self.red)

    @property
    def advice(self) -> tuple[str, ...]:
        """What the red verdicts say to change, each once."""
        return merged(verdict.advice for verdict in self.red)

    @property
    def passed(self) -> list[Verdict]:
        """Verdicts that pass."""
        return [v for v in self.cell.verdicts if v.outcome is Outcome.PASS]

    @property
    def open(self) -> list[Verdict]:
        """Verdicts that are no answer."""
        return [
            v for v in self.cell.verdicts if v.outcome is not Outcome.PASS and v not in self.red
        ]

    @property
    def disturbed(self) -> list[str]:
        """What else the machine did while the cell ran, where that makes timings worth little."""
        return disturbances(self.record)


@dataclass(frozen=True)
class Group:
    """The cells that share a value: in words, or the first few by link and how many more."""

    value: str
    words: str | None
    cells: tuple[CellView, ...]
    more: int


@dataclass(frozen=True)
class Moved:
    """One name that differs between cells."""

    name: str
    groups: tuple[Group, ...]
    more: int


@dataclass(frozen=True)
class Aspect:
    """What differs in one respect, and what is the same in every cell."""

    title: str
    moved: tuple[Moved, ...]
    more: int
    shared: dict[str, str]


@dataclass(frozen=True)
class StackView:
    """One environment, and the cells that ran in it."""

    anchor: str
    record: Record
    cells: tuple[CellView, ...]


def cell_views(cells: Sequence[CellResult]) -> list[CellView]:
    """Give each cell an anchor made of its id, so that a link keeps its meaning over runs."""
    taken: set[str] = set()
    views = []
    for index, cell in enumerate(cells):
        base = anchor = "cell-" + _slug(cell.record.cell_id)
        serial = 2
        while anchor in taken:
            anchor, serial = f"{base}-{serial}", serial + 1
        taken.add(anchor)
        views.append(CellView(index, anchor, cell))
    return views


def aspects(views: Sequence[CellView]) -> list[Aspect]:
    """Arrange what differs between the cells and what they share, in reading order."""
    return [_aspect(title, facts, views) for title, facts in differences.ASPECTS]


def stack_views(views: Sequence[CellView]) -> list[StackView]:
    """Group the cells by the environment that they ran in."""
    groups: dict[str, list[CellView]] = {}
    for view in views:
        executed = view.record.executed
        identity = (view.record.stack.model_dump(), executed.packages if executed else None)
        groups.setdefault(plain(identity), []).append(view)
    return [
        StackView(f"stack-{place}", members[0].record, tuple(members))
        for place, members in enumerate(groups.values(), start=1)
    ]


def own_facts(view: CellView, aspect: Aspect, facts: Facts) -> dict[str, str]:
    """Return the facts of a cell that are not the same in every cell: the rest is shown once."""
    mapping = facts(view.record) or {}
    return {
        name: plain(value) for name, value in sorted(mapping.items()) if name not in aspect.shared
    }


def _aspect(title: str, facts: Facts, views: Sequence[CellView]) -> Aspect:
    cells = [view.cell for view in views]
    found = differences.differences(cells, facts)
    by_cell = {id(view.cell): view for view in views}
    return Aspect(
        title,
        tuple(_moved(difference, by_cell) for difference in found[:_LISTED_NAMES]),
        max(0, len(found) - _LISTED_NAMES),
        differences.shared(cells, facts) if len(cells) > 0 else {},
    )


def _moved(difference: Difference, by_cell: dict[int, CellView]) -> Moved:
    groups: list[Group] = []
    known = [cell for _, members in difference.values for cell in members]
    for value, members in difference.values[:_LISTED_CELLS]:
        words = differences.describe(members, known)
        if not words and not groups and len(members) > _LISTED_CELLS:
            words = "all other cells" if len(difference.values) <= _LISTED_CELLS else None
        listed = () if words else members[:_LISTED_CELLS]
        more = 0 if words else len(members) - len(listed)
        groups.append(Group(value, words, tuple(by_cell[id(cell)] for cell in listed), more))
    return Moved(difference.name, tuple(groups), len(difference.values) - len(groups))


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "-", clean(text)).strip("-")[:120] or "unnamed"
