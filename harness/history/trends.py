"""Whether a series goes up, and how fast: estimates that single jumps do not move."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

LONGEST = 200
"""Places of a longer series that are looked at, evenly spread: the work grows with their square."""


def theil_sen(values: Sequence[float]) -> float:
    """Return the median of the slopes between all pairs of places, per place.

    It is that of the bulk as long as less than 29 % of the values are off it.

    Raises:
        ValueError: Fewer than two values.

    Source:
        P. K. Sen, "Estimates of the regression coefficient based on Kendall's tau", JASA 63 (1968).
    """
    if len(values) < 2:
        raise ValueError(f"a slope needs two values, got {len(values)}")
    places, rises = _pairs(values)
    return float(np.median(rises / places))


def mann_kendall(values: Sequence[float]) -> float:
    """Return the probability that a series without a trend rises as clearly as this one does.

    One-sided, by the normal approximation with continuity and tie corrections; 1 for a constant series.

    Source:
        M. G. Kendall, "Rank Correlation Methods" (1975), section 4.
    """
    if len(values) < 2:
        return 1.0
    _, rises = _pairs(values)
    score = float(np.sign(rises).sum())
    count = min(len(values), LONGEST)
    _, ties = np.unique(_thinned(values)[1], return_counts=True)
    variance = (
        count * (count - 1) * (2 * count + 5) - float((ties * (ties - 1) * (2 * ties + 5)).sum())
    ) / 18
    if variance <= 0 or score <= 0:
        return 1.0
    return 0.5 * math.erfc((score - 1) / math.sqrt(2 * variance))


def _pairs(values: Sequence[float]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return how far apart the places of each pair are, and by how much the later value is higher."""
    places, heights = _thinned(values)
    first, second = np.triu_indices(len(places), k=1)
    return places[second] - places[first], heights[second] - heights[first]


def _thinned(values: Sequence[float]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    count = min(len(values), LONGEST)
    places = np.linspace(0, len(values) - 1, count).round()
    return places, np.asarray(values, dtype=np.float64)[places.astype(int)]
