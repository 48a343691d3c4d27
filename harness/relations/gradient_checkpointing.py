"""Recomputing activations changes memory and nothing else.

Exists for the class of HF#35438's neighbours: a layer that is not recomputed as it was computed
(dropout, caches, autocast) trains on other gradients than it shows.
"""

from collections.abc import Iterator, Mapping

from harness.matrix import Cell
from harness.record import Record
from harness.relations import _series
from harness.relations.deviation import Deviation


def variants(cell: Cell) -> dict[str, Cell]:
    """Return the cell with and without."""
    return {
        "on": cell.varied({"gradient_checkpointing": True}),
        "off": cell.varied({"gradient_checkpointing": False}),
    }


def deviations(records: Mapping[str, Record]) -> Iterator[Deviation]:
    """Compare losses, and grad_norm in float32."""
    on, off = records["on"], records["off"]
    yield from _series.trajectories(on, off, "on against off")
