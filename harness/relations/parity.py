"""Unsloth trains as plain transformers and peft do, from the same adapter on the same rows.

Exists for U#13, U#1337 and U#3527 (loss parity), U#4112 (rotary frequencies that were never
initialised: first losses 5-11 times too large) and U#2126.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from harness.matrix import Cell
from harness.record import Record
from harness.relations import _series
from harness.relations.deviation import Deviation, NotApplicable, flag

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
    """Compare what trains, how long, and then the trajectories; grad_norm in float32.

    Where Unsloth adapts other modules or leaves rows out, the rest cannot agree and is not compared.
    """
    unsloth, reference = records["unsloth"], records["reference"]
    names = "Unsloth against the reference"
    sizes = [r.adapter.trainable_parameters if r.adapter else None for r in (unsloth, reference)]
    steps = [len(r.steps) for r in (unsloth, reference)]
    exact = [
        flag("trainable parameters", violated=sizes[0] != sizes[1], where=_against(sizes)),
        flag("optimizer steps", violated=steps[0] != steps[1], where=_against(steps)),
    ]
    yield from exact
    if not any(one.value for one in exact):
        yield from _series.trajectories(unsloth, reference, names)


def _against(pair: Sequence[int | None]) -> str:
    return f"{pair[0]} against {pair[1]}"
