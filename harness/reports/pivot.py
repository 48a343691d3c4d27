"""The matrix of verdicts as a grid: stack x dtype x recipe against hardware."""

from collections.abc import Sequence
from dataclasses import dataclass

from harness.gate import CellResult
from harness.record import HardwareInfo, Record
from harness.verdict import Outcome


@dataclass(frozen=True)
class Row:
    """One row of the grid; `slots` has one list of cells per hardware column, empty: not run."""

    stack: str
    dtype: str
    recipe: str
    slots: tuple[tuple[CellResult, ...], ...]


@dataclass(frozen=True)
class Grid:
    """Columns in the order in which the hardware first appears, rows likewise by stack."""

    columns: tuple[HardwareInfo, ...]
    rows: tuple[Row, ...]


def recipe_name(record: Record) -> str:
    """Return the recipe's name, or its digest if it has none."""
    return str(record.recipe.get("name") or record.recipe_digest)


def grid(cells: Sequence[CellResult]) -> Grid:
    """Arrange cells by what they are; every cell is in exactly one slot."""
    columns: dict[tuple[str, str], HardwareInfo] = {}
    slots: dict[tuple[str, str, str], dict[tuple[str, str], list[CellResult]]] = {}
    for cell in cells:
        record = cell.record
        column = (record.hardware.name, record.hardware.kind)
        columns.setdefault(column, record.hardware)
        row = (record.stack.name, record.dtype_request, recipe_name(record))
        slots.setdefault(row, {}).setdefault(column, []).append(cell)
    stacks = list(dict.fromkeys(stack for stack, _, _ in slots))
    ordered = sorted(slots, key=lambda row: stacks.index(row[0]))
    return Grid(
        tuple(columns.values()),
        tuple(Row(*row, tuple(tuple(slots[row].get(c, ())) for c in columns)) for row in ordered),
    )


def check_names(cells: Sequence[CellResult]) -> list[str]:
    """Return every check that judged a cell, in the order of first appearance."""
    return list(dict.fromkeys(verdict.check for cell in cells for verdict in cell.verdicts))


def check_outcomes(cell: CellResult, checks: Sequence[str]) -> list[Outcome | None]:
    """Return a cell's outcome per check, the worst if a check spoke twice, None if it did not."""
    found: dict[str, Outcome] = {}
    for verdict in cell.verdicts:
        before = found.get(verdict.check)
        if before is None or not before.is_red:
            found[verdict.check] = verdict.outcome
    return [found.get(check) for check in checks]
