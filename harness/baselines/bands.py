"""The band in which one further run of an experiment falls, from its repeats."""

import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache

from pydantic import BaseModel, ConfigDict

from harness.figures import family, rounded

MIN_REPEATS = 3
"""Fewer repeats say nothing of the spread between processes."""

MIN_MARGIN = 1.05
"""A change below 5 % never leaves the band, however well three repeats agree: a policy."""

FALSE_ALARMS = 0.01
"""At most this share of unchanged runs is outside any band of a check: a policy."""


class Band(BaseModel):
    """Where one further run of the same experiment falls; `center` is the geometric mean."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    low: float
    center: float
    high: float


def derive_bands(runs: Sequence[Mapping[str, float]]) -> dict[str, Band]:
    """Derive the band of every figure that all runs have; fewer than three runs have none.

    The band is a prediction interval for one further run, on a log scale since speeds and sizes err
    by ratios: exp(mean +- t(n - 1) * sd * sqrt(1 + 1 / n)), and never narrower than `MIN_MARGIN`. A
    check judges k figures on one side each, so t leaves `FALSE_ALARMS` / k on that side (Bonferroni):
    an unchanged run fails the check with at most that probability, however its figures hang together.

    Source:
        G. J. Hahn, W. Q. Meeker, "Statistical Intervals", chapter 4: the prediction interval for
        one future observation of a normal distribution; section 4.8.2 on simultaneous intervals.
    """
    if len(runs) < MIN_REPEATS:
        return {}
    names = [name for name in runs[0] if all(run.get(name, 0.0) > 0 for run in runs)]
    judged_together = Counter(family(name) for name in names)
    return {
        name: _band([math.log(run[name]) for run in runs], judged_together[family(name)])
        for name in names
    }


def _band(logs: Sequence[float], judged_together: int) -> Band:
    count = len(logs)
    t = _t_quantile(count - 1, FALSE_ALARMS / judged_together)
    center = statistics.fmean(logs)
    half = max(t * statistics.stdev(logs) * math.sqrt(1 + 1 / count), math.log(MIN_MARGIN))
    return Band(
        low=rounded(math.exp(center - half)),
        center=rounded(math.exp(center)),
        high=rounded(math.exp(center + half)),
    )


@cache
def _t_quantile(degrees_of_freedom: int, upper_tail: float) -> float:
    from scipy.special import stdtrit  # 0.2 s, and most cells have no baseline

    return float(stdtrit(degrees_of_freedom, 1 - upper_tail))


def close(one: Band, other: Band) -> bool:
    """Whether two bands are the same but for the last digits."""
    # Platforms may round a logarithm differently in its last digit.
    pairs = zip(one.model_dump().values(), other.model_dump().values(), strict=True)
    return all(math.isclose(a, b, rel_tol=1e-4) for a, b in pairs)
