"""Where a series changes its level, by Apache Otava."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.errors import MissingExtraError

MAX_P_VALUE = 0.001
"""Otava's own default."""
_WINDOW = 50


@dataclass(frozen=True)
class ChangePoint:
    """A change of level: the mean of the stretch before `index`, and of that from it on.

    Attributes:
        index: Of the first value after the change.
        p_value: Of Student's t-test between the two stretches; 0 where both are constant.
    """

    index: int
    before: float
    after: float
    p_value: float

    @property
    def change(self) -> float:
        """The relative change; NaN from 0."""
        return self.after / self.before - 1 if self.before else math.nan


def find_change_points(values: Sequence[float], min_change: float) -> list[ChangePoint]:
    """Find the changes of a series, first to last.

    Args:
        values: In order. Those that are not finite are passed over.
        min_change: Smallest relative change of the mean that counts.

    Returns:
        Changes whose indices count all of `values`. Fewer than three finite values have none.

    Raises:
        MissingExtraError: Otava is not installed.

    Source:
        M. Fleming et al., "Hunter: Using Change Point Detection to Hunt for Performance Regressions",
        https://doi.org/10.1145/3578244.3583719: E-divisive means over windows of 50 values, Student's
        t-test in place of a permutation test, and weak points merged from the bottom up.
    """
    try:
        # Three seconds of scipy, for which nothing but a trend has to wait.
        import numpy as np
        from otava.analysis import compute_change_points
    except ImportError as error:
        raise MissingExtraError("apache-otava", "history") from error
    finite = [index for index, value in enumerate(values) if math.isfinite(value)]
    # Between two constant stretches the t-test divides by 0, and is right to say p = 0; a corrupt
    # value may overflow.
    with np.errstate(all="ignore"):
        # A list: of an array, Otava 0.8 does not cut its windows, and numbers the changes wrongly.
        found, _ = compute_change_points(
            [float(values[index]) for index in finite],
            window_len=_WINDOW,
            max_pvalue=MAX_P_VALUE,
            min_magnitude=min_change,
        )
    return [
        ChangePoint(
            finite[int(point.index)],
            float(point.stats.mean_1),
            float(point.stats.mean_2),
            float(point.stats.pvalue),
        )
        for point in found
    ]
