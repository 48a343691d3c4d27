"""An evaluation does not depend on how its rows are batched.

Exists for U#1711, and for padding that leaks. What the trainer reports does depend on it, by design of
transformers: reports/findings/evaluation-batch-size.md.
"""

from collections.abc import Iterator, Mapping

from harness.matrix import Cell
from harness.record import Record
from harness.relations import _series
from harness.relations.deviation import Deviation

SIZES = (1, 2, 4, 8)


def variants(cell: Cell) -> dict[str, Cell]:
    """Return the cell at each size that its evaluation rows fill."""
    sizes = [n for n in SIZES if n <= cell.recipe.eval_rows]
    return {f"batches of {n}": cell.varied({"eval_batch_size": n}) for n in sizes}


def deviations(records: Mapping[str, Record]) -> Iterator[Deviation]:
    """Compare every size with the smallest: the loss over tokens, and what is reported."""
    (base, first), *others = records.items()
    for name, record in others:
        yield _series.token_loss(record, first, f"{name} against {base}")
        yield _series.eval_loss(record, first, f"{name} against {base}")
