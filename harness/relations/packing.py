"""Rows packed into one sequence are evaluated as they are alone.

Exists for Z#1066 and U#4128's neighbours: a packed row that sees the row before it, positions that do
not restart, a normaliser that counts what is not there.
"""

from collections.abc import Iterator, Mapping

from harness.matrix import Cell
from harness.record import Record
from harness.relations.deviation import Deviation, NotApplicable, flag, relative


def variants(cell: Cell) -> dict[str, Cell]:
    """Return the cell packed and not."""
    if cell.stack.startswith("reference-"):
        raise NotApplicable("packing is TRL's: the reference trains one row beside the other")
    return {name: cell.varied({"packing": name == "packed"}) for name in ("packed", "alone")}


def deviations(records: Mapping[str, Record]) -> Iterator[Deviation]:
    """Compare the evaluation before training, when both still have the same weights.

    Raises:
        NotApplicable: The library did not pack.
    """
    packed, alone = records["packed"], records["alone"]
    if packed.executed is None or not packed.executed.arguments.get("packing"):
        raise NotApplicable("the library does not pack here")
    before = [run.evaluations[0] for run in (packed, alone)]
    tokens = [evaluation.tokens for evaluation in before]
    where = f"{tokens[0]} against {tokens[1]} supervised tokens before training"
    # A row that is cut loses its end; one that is joined to another must not gain a label.
    yield flag("supervised tokens", violated=tokens[0] != tokens[1], where=where)
    value = relative(before[0].token_loss, before[1].token_loss)
    yield Deviation("token_loss before training", value, "packed against alone")
