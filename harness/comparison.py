"""How far a figure is from the same one computed apart, and whether that is within what was measured."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from harness import tolerances
from harness.precision_facts import Effective
from harness.record import Record
from harness.tolerances import Tolerance

GPU_LIMIT = 0.01
"""A policy: one bfloat16 rounds by 0.4 % (2**-8), so no mean over tokens moves by more than this."""

_COARSEST_FIRST = ("bfloat16", "float16", "float32")
"""By significand: 8, 11 and 24 bits (IEEE 754-2008 and bfloat16)."""


@dataclass(frozen=True)
class Comparison:
    """A figure of the run beside the same quantity computed apart.

    Attributes:
        name: What it is a figure of, in words.
        deviation: Relative; 0 is to the bit.
        tolerance: None where none was measured for this dtype.
        on_gpu: Whether a GPU computed. Tolerances are measured on CPUs: beyond one, a GPU's rounding is
            possible up to `GPU_LIMIT`.
    """

    name: str
    deviation: float
    tolerance: Tolerance | None
    on_gpu: bool

    @property
    def fails(self) -> bool:
        """Whether it is beyond what clean runs do."""
        if self.tolerance is None or self.tolerance.allows(self.deviation):
            return False
        return not (self.on_gpu and self.deviation <= GPU_LIMIT)

    @property
    def is_unknown(self) -> bool:
        """Whether nothing was measured that could tell."""
        if self.tolerance is None:
            return True
        return not (self.fails or self.tolerance.allows(self.deviation))


def compare(
    record: Record, of: str, quantity: str, deviation: float, name: str = "", of_dtype: str = ""
) -> Comparison:
    """Return a comparison, under the tolerance of the record's dtype.

    Args:
        record: Where both figures are from.
        of: The check.
        quantity: What is computed twice.
        deviation: Relative.
        name: Of this one figure; the quantity where there is but one.
        of_dtype: In place of the record's.
    """
    tolerance = tolerances.shipped().find(of, quantity, of_dtype or dtype(record))
    return Comparison(name or quantity, deviation, tolerance, record.hardware.on_gpu)


def relative(a: float, b: float) -> float:
    """Return |a - b| / |b|: 0 for equal numbers, infinite for any other beside 0."""
    if a == b:
        return 0.0
    return abs(a - b) / abs(b) if b else float("inf")


def find(record: Record, of: str, quantity: str) -> Tolerance | None:
    """Return the tolerance for the dtype that the record was computed in."""
    return tolerances.shipped().find(of, quantity, dtype(record))


def dtype(record: Record) -> str:
    """Return the coarsest dtype that weights, activations, logits or autocast had."""
    values = Effective.of(record.precision).values
    seen = {
        value for field in ("activations", "logits", "autocast") for value in values.get(field, ())
    }
    return coarsest([*seen, *record.precision.weights])


def coarsest(names: Iterable[object]) -> str:
    """Return the dtype of least precision among some, float32 for none that is known."""
    given = set(names)
    return next((name for name in _COARSEST_FIRST if name in given), "float32")


def uncalibrated(record: Record, comparisons: Sequence[Comparison]) -> str:
    """Say how far the figures are apart that no tolerance judges; empty where there is none."""
    shown = list(_unjudged(comparisons))
    where = f"in {dtype(record)}{' on a GPU' if any(c.on_gpu for c in comparisons) else ''}"
    return f"no tolerance was measured {where}: {'; '.join(shown)}" if shown else ""


def _unjudged(comparisons: Sequence[Comparison]) -> Iterator[str]:
    for one in comparisons:
        if one.is_unknown:
            yield f"{one.name} deviates by {one.deviation:.2g}"


def largest(comparisons: Sequence[Comparison]) -> float:
    """Return the largest deviation, 0 for none."""
    return max((one.deviation for one in comparisons), default=0.0)
