"""At learning rate 0 nothing changes; at two rates two runs part.

Exists for U#2084: the learning rate had no effect.
"""

from collections.abc import Iterator, Mapping

from harness.matrix import Cell
from harness.record import Record
from harness.relations import _series
from harness.relations.deviation import Deviation, flag, largest, relative


def variants(cell: Cell) -> dict[str, Cell]:
    """Return the cell at rate 0, at its own, and at twice that."""
    rate = cell.recipe.learning_rate or 1e-3
    return {
        "0": cell.varied({"learning_rate": 0.0}),
        "once": cell.varied({"learning_rate": rate}),
        "twice": cell.varied({"learning_rate": 2 * rate}),
    }


def deviations(records: Mapping[str, Record]) -> Iterator[Deviation]:
    """See that nothing moves at 0, and that the other two part after their first update."""
    still, once, twice = records["0"], records["once"], records["twice"]
    first, *later = still.evaluations
    yield largest(
        "eval_loss at rate 0",
        (
            (relative(e.token_loss, first.token_loss), f"evaluation at step {e.step} against 0")
            for e in later
        ),
    )
    adapter = still.adapter
    moved = adapter is None or adapter.digest_before != adapter.digest_after
    yield flag("adapter at rate 0", violated=moved, where="before and after training")
    # The last evaluation has seen every update; before the first one both must agree.
    same = _series.token_loss(twice, once, "").value == 0
    yield flag("two rates part", violated=same, where="twice the rate against once")
