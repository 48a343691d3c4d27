"""Metamorphic relations: runs whose results must agree, or part, whatever the right numbers are.

A module in this package is a relation when it defines `variants(cell)` and `deviations(records)`. Its
name is the relation's name and its docstring names the regression it exists for: adding a relation is
adding one file. `variants` says which runs it needs and raises `NotApplicable` where it has nothing to
say; `deviations` is pure. What a deviation may be is in fixtures/tolerances.toml, per dtype.
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from harness.experiment import Extra
from harness.matrix import Cell
from harness.record import Record
from harness.relations.deviation import Deviation, NotApplicable

__all__ = ["Deviation", "NotApplicable", "Relation", "all_relations"]


@dataclass(frozen=True)
class Relation:
    """A named relation.

    Attributes:
        variants: From a cell to the cells to run, by the name that the relation calls them.
        deviations: From their records, by the same names, to what differs.
        extras: What the runs do beside training: `EXTRAS` of the module.
    """

    name: str
    summary: str
    variants: Callable[[Cell], dict[str, Cell]]
    deviations: Callable[[Mapping[str, Record]], Iterator[Deviation]]
    extras: frozenset[Extra] = frozenset()


@cache
def all_relations() -> tuple[Relation, ...]:
    """Return every relation by name."""
    found = []
    for info in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{info.name}")
        if hasattr(module, "variants"):
            summary = (module.__doc__ or "").strip().split("\n")[0]
            extras: frozenset[Extra] = getattr(module, "EXTRAS", frozenset())
            found.append(Relation(info.name, summary, module.variants, module.deviations, extras))
    return tuple(sorted(found, key=lambda relation: relation.name))
