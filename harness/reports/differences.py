"""What differs between the cells of one run: a moved default is read before a moved number."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.gate import CellResult
from harness.record import Record
from harness.reports.facts import labelled
from harness.reports.pivot import recipe_name
from harness.reports.wording import plain

ABSENT = "absent"
"""Shown for a name that a cell does not have: a package not installed, an unset variable."""

_FACETS: tuple[tuple[str, Callable[[Record], str]], ...] = (
    ("stack", lambda record: record.stack.name),
    ("hardware", lambda record: labelled(record.hardware.name, record)),
    ("dtype", lambda record: record.dtype_request),
    ("recipe", recipe_name),
)

Facts = Callable[[Record], Mapping[str, Any] | None]


@dataclass(frozen=True)
class Difference:
    """One name, and the cells that have each of its values."""

    name: str
    values: tuple[tuple[str, tuple[CellResult, ...]], ...]
    """Value as text and its cells, the value that most cells have first."""

    @property
    def partial(self) -> bool:
        """Whether some cells do not have the name at all."""
        return any(value == ABSENT for value, _ in self.values)

    @property
    def everywhere(self) -> bool:
        """Whether no two cells share a value, as with a path of the run's own folder."""
        return len(self.values) > 2 and all(len(cells) == 1 for _, cells in self.values)


def differences(cells: Sequence[CellResult], facts: Facts) -> list[Difference]:
    """Return the names whose value is not the same in all cells that have facts.

    Args:
        cells: The cells to compare.
        facts: Takes the mapping to compare out of a record; None leaves the cell out.

    Returns:
        Names with a moved value first, then those that some cells do not have, last those that
        differ everywhere; each in alphabetical order.
    """
    known = [(cell, mapping) for cell in cells if (mapping := facts(cell.record)) is not None]
    found = []
    for name in sorted({name for _, mapping in known for name in mapping}):
        groups: dict[str, list[CellResult]] = {}
        for cell, mapping in known:
            value = plain(mapping[name]) if name in mapping else ABSENT
            groups.setdefault(value, []).append(cell)
        if len(groups) > 1:
            ranked = sorted(groups.items(), key=lambda item: -len(item[1]))
            found.append(Difference(name, tuple((v, tuple(members)) for v, members in ranked)))
    return sorted(found, key=lambda difference: (difference.everywhere, difference.partial))


def shared(cells: Sequence[CellResult], facts: Facts) -> dict[str, str]:
    """Return the names whose value is the same in every cell that has facts, as text."""
    known = [mapping for cell in cells if (mapping := facts(cell.record)) is not None]
    return {
        name: plain(known[0][name])
        for name in sorted(known[0] if known else ())
        if len({plain(m[name]) if name in m else None for m in known}) == 1
    }


def describe(group: Sequence[CellResult], cells: Sequence[CellResult]) -> str | None:
    """Say what the cells of a group have in common and no other cell has; None if nothing.

    `hardware t4-emulated` says more than the ten cells on it.
    """
    members = {id(cell) for cell in group}
    for facet, value_of in _FACETS:
        values = list(dict.fromkeys(value_of(cell.record) for cell in group))
        if len(values) <= 3 and members == {
            id(cell) for cell in cells if value_of(cell.record) in values
        }:
            return f"{facet} {', '.join(values)}"
    return None


def executed_path(record: Record) -> Mapping[str, Any] | None:
    """Return the classes and functions that ran."""
    run = record.executed
    if run is None:
        return None
    return {
        "trainer class": run.trainer_class,
        "optimizer class": run.optimizer_class,
        "loss function": run.loss_function,
        "attention implementation": run.attention_implementation,
        "model class": run.model_class,
        "model inputs": ", ".join(run.model_inputs) or ABSENT,
        "gradient checkpointing": run.gradient_checkpointing,
    }


def arguments(record: Record) -> Mapping[str, Any] | None:
    """Return the effective training arguments."""
    return record.executed.arguments if record.executed else None


def variables(record: Record) -> Mapping[str, Any] | None:
    """Return the environment variables of the libraries under test."""
    return record.executed.environment if record.executed else None


def packages(record: Record) -> Mapping[str, Any] | None:
    """Return the installed versions, distribution -> version."""
    return record.executed.packages if record.executed else None


ASPECTS: tuple[tuple[str, Facts], ...] = (
    ("Executed path", executed_path),
    ("Training arguments", arguments),
    ("Environment variables", variables),
    ("Packages", packages),
)
"""What is compared, in the order in which it is read."""
