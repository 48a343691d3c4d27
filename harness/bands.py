"""The band in which one further run of an experiment falls, from its repeats."""

import math
import statistics
from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ConfigDict

from harness.figures import rounded

MIN_REPEATS = 3
"""Fewer repeats say nothing of the spread between processes."""

MIN_MARGIN = 1.05
"""A change below 5 % never leaves the band, however well three repeats agree: a policy."""

# Student's t, one-sided 1 %, for 2, 3, ... 10 degrees of freedom; ten stands for any more.
_T_1_PERCENT = (6.965, 4.541, 3.747, 3.365, 3.143, 2.998, 2.896, 2.821, 2.764)


class Band(BaseModel):
    """Where one further run of the same experiment falls; `center` is the geometric mean."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    low: float
    center: float
    high: float


def derive_bands(runs: Sequence[Mapping[str, float]]) -> dict[str, Band]:
    """Derive the band of every figure that all runs have; fewer than three runs have none.

    The band is a prediction interval for one further run with 1 % on either side, on a log scale
    since speeds and sizes err by ratios: exp(mean +- t(n - 1) * sd * sqrt(1 + 1 / n)), and never
    narrower than `MIN_MARGIN`.

    Source:
        G. J. Hahn, W. Q. Meeker, "Statistical Intervals", chapter 4: the prediction interval for
        one future observation of a normal distribution.
    """
    if len(runs) < MIN_REPEATS:
        return {}
    names = [name for name in runs[0] if all(run.get(name, 0.0) > 0 for run in runs)]
    return {name: _band([math.log(run[name]) for run in runs]) for name in names}


def _band(logs: Sequence[float]) -> Band:
    count = len(logs)
    t = _T_1_PERCENT[min(count - 1, len(_T_1_PERCENT) + 1) - 2]
    center = statistics.fmean(logs)
    half = max(t * statistics.stdev(logs) * math.sqrt(1 + 1 / count), math.log(MIN_MARGIN))
    return Band(
        low=rounded(math.exp(center - half)),
        center=rounded(math.exp(center)),
        high=rounded(math.exp(center + half)),
    )


def close(one: Band, other: Band) -> bool:
    """Whether two bands are the same but for the last digits."""
    # Platforms may round a logarithm differently in its last digit.
    pairs = zip(one.model_dump().values(), other.model_dump().values(), strict=True)
    return all(math.isclose(a, b, rel_tol=1e-4) for a, b in pairs)
