"""One batch of n rows trains as n accumulated batches of one.

Exists for HF#34191, HF#35438, HF#37197 and U#1134: rows of different lengths were averaged batch by
batch, so that accumulation changed the loss.
"""

from collections.abc import Iterator, Mapping

from harness.matrix import Cell
from harness.record import Record
from harness.relations import _series
from harness.relations.deviation import Deviation, NotApplicable


def variants(cell: Cell) -> dict[str, Cell]:
    """Return both ways to the same optimizer steps."""
    rows = cell.recipe.batch_size * cell.recipe.gradient_accumulation
    if rows == 1:
        raise NotApplicable("a step of one row has nothing to accumulate")
    if cell.recipe.packing:
        raise NotApplicable("packing puts other rows into a batch of another size")
    return {
        f"{rows} x 1": cell.varied({"batch_size": rows, "gradient_accumulation": 1}),
        f"1 x {rows}": cell.varied({"batch_size": 1, "gradient_accumulation": rows}),
    }


def deviations(records: Mapping[str, Record]) -> Iterator[Deviation]:
    """Compare losses, and grad_norm in float32."""
    (n, whole), (one, parts) = records.items()
    names = f"{one} against {n}"
    yield from _series.trajectories(parts, whole, names)
