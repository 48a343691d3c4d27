"""How far a figure is known: an interval from the run's own values, without a distribution."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

CONFIDENCE = 0.95
"""Of the interval of a median."""


@dataclass(frozen=True)
class Interval:
    """A figure, and the interval that it is known in; both ends None where there is none."""

    value: float
    low: float | None = None
    high: float | None = None


def of_median(value: float, values: Sequence[float]) -> Interval:
    """Return the interval of a median from order statistics, at least `CONFIDENCE` sure.

    It holds for independent values of any distribution: the k-th smallest and the k-th largest enclose
    the median unless fewer than k of n values lie on one side, which is binomial with p = 1/2.

    Args:
        value: The median, as it is shown.
        values: What it is the median of; fewer than six have no such interval.

    Source:
        W. J. Conover, "Practical Nonparametric Statistics", 3rd edition, section 3.2.
    """
    rank = _rank(len(values))
    if rank == 0:
        return Interval(value)
    ordered = sorted(values)
    return Interval(value, ordered[rank - 1], ordered[-rank])


def of_range(values: Sequence[float]) -> Interval:
    """Return the first of several values with their range; of one value there is none."""
    if len(values) < 2:
        return Interval(values[0])
    return Interval(values[0], min(values), max(values))


@cache
def _rank(count: int) -> int:
    """Return the largest k with P(Binomial(count, 1/2) < k) <= (1 - CONFIDENCE) / 2."""
    rank, below = 0, 0.0
    while rank < count // 2:
        below += math.comb(count, rank) * 0.5**count
        if below > (1 - CONFIDENCE) / 2:
            break
        rank += 1
    return rank
