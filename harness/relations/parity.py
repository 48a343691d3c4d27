"""Unsloth trains as plain transformers and peft do, from the same adapter on the same rows.

Exists for U#13, U#1337 and U#3527 (loss parity), U#4112 (rotary frequencies that were never
initialised: first losses 5-11 times too large) and U#2126.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from harness.matrix import Cell
from harness.record import Record
from harness.relations import _series
from harness.relations.deviation import Deviation, NotApplicable

_DTYPES = ("float32", "bfloat16")


def variants(cell: Cell) -> dict[str, Cell]:
    """Return the cell and the reference stack of its release, on the CPU."""
    family, _, release = cell.stack.partition("-")
    if family != "unsloth":
        raise NotApplicable("it is for a stack with Unsloth")
    if cell.hardware != "cpu" or cell.dtype not in _DTYPES:
        raise NotApplicable(f"both compute in one dtype on the CPU only, in {', '.join(_DTYPES)}")
    return {"unsloth": cell, "reference": replace(cell, stack=f"reference-{release}")}


def deviations(records: Mapping[str, Record]) -> Iterator[Deviation]:
    """Compare the trajectories, and grad_norm in float32.

    Raises:
        NotApplicable: Unsloth left rows out (reports/findings/responses-only-drops-rows.md).
    """
    unsloth, reference = records["unsloth"], records["reference"]
    if unsloth.recipe["responses_only"] and len(unsloth.steps) < len(reference.steps):
        raise NotApplicable(
            f"Unsloth left out rows: {len(unsloth.steps)} steps against {len(reference.steps)}, see "
            "reports/findings/responses-only-drops-rows.md"
        )
    names = "Unsloth against the reference"
    yield from _series.trajectories(unsloth, reference, names)
