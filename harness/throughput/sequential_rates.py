"""How often the sequential rule finds a slowdown of a given size: by simulation of normal pairs."""

from functools import cache

import numpy as np
import numpy.typing as npt

from harness.throughput.sequential import LOOKS, NOT_SLOWER_AT, SLOWER_AT, Design, Floats, estimate

PATHS = 20_000
"""Sequences of pairs in a simulation; the standard error of a power of 95 % is 0.15 %."""
_PRECISION = 1e-4


def simulate(ratios: Floats, design: Design) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.int64]]:
    """Decide many sequences of pairs as `sequential.decide` does one.

    Args:
        ratios: Log ratios, shape (sequences, at least `design.max_pairs`).
        design: By which to decide.

    Returns:
        1 for SLOWER, -1 for NOT_SLOWER and 0 for UNDECIDED, and the pairs used; shape (sequences,) each.
    """
    decided = np.zeros(len(ratios), dtype=np.int8)
    pairs = np.full(len(ratios), design.looks[-1])
    for look, slower_at, not_slower_at in zip(LOOKS, SLOWER_AT, NOT_SLOWER_AT, strict=True):
        if look > design.max_pairs:
            break
        center, error, _ = estimate(ratios[:, :look])
        is_near = center >= design.threshold
        slower = is_near & (center - slower_at * error > 0)
        not_slower = ~is_near & (center + not_slower_at * error < design.slowdown)
        now = (slower | not_slower) & (decided == 0)
        pairs[now] = look
        decided[now] = np.where(slower, 1, -1)[now]
    return decided, pairs


def power(slowdown: float, spread: float, design: Design) -> float:
    """Return the probability of SLOWER.

    Args:
        slowdown: The true log ratio.
        spread: Standard deviation of a pair's log ratio.
        design: By which it is decided.
    """
    decided, _ = simulate(slowdown + spread * _paths(), design)
    return float(np.mean(decided == 1))


def detectable(wanted: float, spread: float, design: Design) -> float:
    """Return the smallest log ratio that is found with a power of `wanted`, to 1e-4; by bisection.

    It is never below the design's threshold: estimates below it are not called SLOWER.
    """
    low, high = design.threshold, design.threshold + 10 * spread
    while high - low > _PRECISION:
        middle = (low + high) / 2
        if power(middle, spread, design) < wanted:
            low = middle
        else:
            high = middle
    return high


@cache
def _paths() -> Floats:
    """Return standard normal sequences, the same in every call so that power rises with the slowdown."""
    return np.random.default_rng(20261126).standard_normal((PATHS, LOOKS[-1]))
