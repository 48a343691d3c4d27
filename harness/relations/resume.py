"""A run that is resumed from a checkpoint ends as the uninterrupted one.

Sees an optimizer state or a schedule that starts anew, and rows that are fed twice or not at all.
"""

import math
from collections.abc import Iterator, Mapping

from harness.experiment import Extra
from harness.matrix import Cell
from harness.record import Afterwards, Record, Step
from harness.relations import _afterwards as parts
from harness.relations.deviation import Deviation, flag

EXTRAS = frozenset({Extra.RESUME})


def variants(cell: Cell) -> dict[str, Cell]:
    """Return the cell itself."""
    return {"run": cell}


def deviations(records: Mapping[str, Record]) -> Iterator[Deviation]:
    """Compare steps, evaluations, adapter and optimizer state from the checkpoint on."""
    (record,) = records.values()
    resumed = parts.entry(record, "resume")
    if failed := parts.broken(resumed, "resume"):
        yield failed
        return
    assert resumed is not None
    yield from _steps(record, resumed)
    yield from _evaluations(record, resumed)
    yield parts.tensors("final adapter", resumed.adapter)
    yield parts.tensors("optimizer state", resumed.optimizer)


def _steps(record: Record, resumed: Afterwards) -> Iterator[Deviation]:
    start = resumed.resumed_from or 0
    wanted = {step.step: step for step in record.steps if step.step > start}
    found = {step.step: step for step in resumed.steps}
    if not wanted or sorted(found) != sorted(wanted):
        where = f"{_range(found)} instead of {_range(wanted)}"
        yield Deviation("steps", math.inf, where)
        return
    yield flag("steps", violated=False)
    figures = {"learning rate": "learning_rate", "step loss": "raw_loss", "grad_norm": "grad_norm"}
    yield from _figures(found, wanted, figures)


def _evaluations(record: Record, resumed: Afterwards) -> Iterator[Deviation]:
    # The trainer evaluates on start again, at the checkpoint's own step.
    start = resumed.resumed_from or 0
    wanted = {e.step: e for e in record.evaluations if e.step > start}
    found = {e.step: e for e in resumed.evaluations if e.step > start}
    if not wanted or sorted(found) != sorted(wanted):
        where = f"after steps {sorted(found)} instead of {sorted(wanted)}"
        yield Deviation("evaluations", math.inf, where)
        return
    yield flag("evaluations", violated=False)
    yield from _figures(found, wanted, {name: name for name in ("eval_loss", "token_loss")})


def _figures(
    found: Mapping[int, object], wanted: Mapping[int, object], fields: Mapping[str, str]
) -> Iterator[Deviation]:
    """Compare fields by quantity, step by step."""
    for quantity, field in fields.items():
        pairs = [
            (f"step {n}", getattr(found[n], field), getattr(one, field))
            for n, one in wanted.items()
        ]
        yield parts.farthest(quantity, pairs)


def _range(steps: dict[int, Step]) -> str:
    return f"steps {min(steps)} to {max(steps)}" if steps else "no steps"
