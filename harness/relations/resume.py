"""A run that is resumed from a checkpoint ends as the uninterrupted one.

Sees an optimizer state or a schedule that starts anew, and rows that are fed twice or not at all.
"""

import math
from collections.abc import Callable, Iterator, Mapping

from harness.experiment import Extra
from harness.matrix import Cell
from harness.record import Afterwards, Evaluation, Record, Step
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
    figures: dict[str, Callable[[Step], float | None]] = {
        "learning rate": lambda step: step.learning_rate,
        "step loss": lambda step: step.raw_loss,
        "grad_norm": lambda step: step.grad_norm,
    }
    for quantity, of in figures.items():
        pairs = [(f"step {n}", of(found[n]), of(step)) for n, step in wanted.items()]
        yield parts.largest(quantity, pairs)


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
    figures: dict[str, Callable[[Evaluation], float | None]] = {
        "eval_loss": lambda e: e.eval_loss,
        "token_loss": lambda e: e.token_loss,
    }
    for quantity, of in figures.items():
        pairs = [(f"step {n}", of(found[n]), of(e)) for n, e in wanted.items()]
        yield parts.largest(quantity, pairs)


def _range(steps: dict[int, Step]) -> str:
    return f"steps {min(steps)} to {max(steps)}" if steps else "no steps"
