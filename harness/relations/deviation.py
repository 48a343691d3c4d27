"""How far two computations of one quantity lie apart."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from harness import comparison


@dataclass(frozen=True)
class Deviation:
    """One comparison, judged by the tolerance of its relation, quantity and dtype.

    Attributes:
        quantity: What is compared, as fixtures/tolerances.toml names it.
        value: |a - b| / |b|; `inf` where a side is missing, failed or not a number.
        where: The runs and the step or evaluation, in words.
        is_exact: Whether there is no distance to allow: it is as it should be or not.
        dtype: Of what was compared, where it is coarser than what the run computed in.
    """

    quantity: str
    value: float
    where: str = ""
    is_exact: bool = False
    dtype: str = ""


def relative(a: float | None, b: float | None) -> float:
    """Return |a - b| / |b|, 0 for equal numbers, `inf` where a side is none or no number."""
    if a is None or b is None or not (math.isfinite(a) and math.isfinite(b)):
        return math.inf
    return comparison.relative(a, b)


def flag(quantity: str, *, violated: bool, where: str = "") -> Deviation:
    """Return a comparison that has no distance: 0 or `inf`."""
    return Deviation(quantity, math.inf if violated else 0.0, where, is_exact=True)


def largest(quantity: str, found: Iterable[tuple[float, str]]) -> Deviation:
    """Return the first of the largest distances; `inf` where there is nothing to compare."""
    nothing = (math.inf, "nothing to compare")
    value, where = max(found, key=lambda pair: pair[0], default=nothing)
    return Deviation(quantity, value, where)


class NotApplicable(Exception):  # noqa: N818 - not an error: the answer is SKIPPED
    """The relation has nothing to say of a cell; the message is why."""
