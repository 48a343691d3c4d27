"""Two implementations of attention compute the same.

Exists for U#2025 and HF#37044: eager attention gave a loss of 0 and NaN gradients over padded rows
longer than the sliding window, and sdpa did not.
"""

from collections.abc import Iterator, Mapping

from harness.matrix import Cell
from harness.record import Record
from harness.relations import _series
from harness.relations.deviation import Deviation, NotApplicable


def variants(cell: Cell) -> dict[str, Cell]:
    """Return the cell with each."""
    if cell.recipe.lora.dropout:
        raise NotApplicable("dropout draws other numbers in each implementation")
    return {name: cell.varied({"attention": name}) for name in ("sdpa", "eager")}


def deviations(records: Mapping[str, Record]) -> Iterator[Deviation]:
    """Compare losses, and grad_norm in float32.

    Raises:
        NotApplicable: The library ran one implementation whatever was asked for.
    """
    sdpa, eager = records["sdpa"], records["eager"]
    ran = {r.executed.attention_implementation for r in (sdpa, eager) if r.executed}
    if len(ran) < 2:
        raise NotApplicable(f"the library runs {', '.join(ran) or 'nothing'} whatever is asked for")
    yield from _series.trajectories(sdpa, eager, "sdpa against eager")
