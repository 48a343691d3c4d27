"""How far a figure is from the same one computed apart, and whether that is within what was measured."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness import tolerances
from harness.precision_facts import Effective
from harness.record import Record
from harness.tolerances import Tolerance

_COARSEST_FIRST = ("bfloat16", "float16", "float32")
"""By significand: 8, 11 and 24 bits (IEEE 754-2008 and bfloat16)."""


@dataclass(frozen=True)
class Comparison:
    """A figure of the run beside the same quantity computed apart.

    Attributes:
        name: What it is a figure of, in words.
        deviation: Relative; 0 is to the bit.
        tolerance: None where none was measured for this dtype.
    """

    name: str
    deviation: float
    tolerance: Tolerance | None

    @property
    def fails(self) -> bool:
        """Whether it is beyond what clean runs do."""
        return self.tolerance is not None and not self.tolerance.allows(self.deviation)


def relative(a: float, b: float) -> float:
    """Return |a - b| / |b|: 0 for equal numbers, infinite for any other beside 0."""
    if a == b:
        return 0.0
    return abs(a - b) / abs(b) if b else float("inf")


def find(record: Record, of: str, quantity: str) -> Tolerance | None:
    """Return the tolerance for the dtype that the record was computed in."""
    return tolerances.shipped().find(of, quantity, dtype(record))


def dtype(record: Record) -> str:
    """Return the coarsest dtype that weights, activations, autocast or logits had."""
    values = Effective.of(record.precision).values
    seen = {
        value
        for field in ("weights", "activations", "logits", "autocast")
        for value in values.get(field, ())
    }
    return next((name for name in _COARSEST_FIRST if name in seen), "float32")


def uncalibrated(record: Record, comparisons: Sequence[Comparison]) -> str:
    """Say how far the figures are apart that have no tolerance; empty where all have one."""
    shown = list(_unjudged(comparisons))
    return f"no tolerance was measured in {dtype(record)}: {'; '.join(shown)}" if shown else ""


def _unjudged(comparisons: Sequence[Comparison]) -> Iterator[str]:
    for one in comparisons:
        if one.tolerance is None:
            yield f"{one.name} deviates by {one.deviation:.2g}"


def largest(comparisons: Sequence[Comparison]) -> float:
    """Return the largest deviation, 0 for none."""
    return max((one.deviation for one in comparisons), default=0.0)
