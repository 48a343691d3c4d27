"""Padding that nothing looks at changes nothing.

Exists for the class of U#1711: padded positions that reach a mean, a mask or a normaliser.
"""

from collections.abc import Iterator, Mapping

from harness.matrix import Cell
from harness.record import Record
from harness.relations import _series
from harness.relations.deviation import Deviation

MULTIPLE = 64
"""Tokens; longer than most phrases of the data, so that every batch is padded."""


def variants(cell: Cell) -> dict[str, Cell]:
    """Return the cell padded to its longest row, and further."""
    return {
        "more": cell.varied({"pad_to_multiple_of": MULTIPLE}),
        "least": cell.varied({"pad_to_multiple_of": None}),
    }


def deviations(records: Mapping[str, Record]) -> Iterator[Deviation]:
    """Compare losses, and grad_norm in float32."""
    more, least = records["more"], records["least"]
    names = f"padded to multiples of {MULTIPLE} against least padding"
    yield from _series.trajectories(more, least, names)
