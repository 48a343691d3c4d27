"""Whether B's steps are slower than A's, decided over process pairs and as early as the spread allows.

The unit is the process pair: steps of one process share its memory layout and its neighbours, so that a
p-value from them is invalid. The rule, where its numbers come from and what it finds: docs/decision-rule.md.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from harness.errors import ConfigError

Outcome = Literal["SLOWER", "NOT_SLOWER", "UNDECIDED"]
Floats = npt.NDArray[np.float64]

ALPHA = 0.01
"""Largest probability of SLOWER where B is as fast as A, over all looks, at any spread."""
BETA = 0.05
"""Largest probability of NOT_SLOWER where B is slower by the margin, over all looks, at any spread."""
LOOKS = (4, 6, 8, 10)
"""Numbers of pairs at which a decision is taken."""

# Of alpha, the looks spend 0.0065, 0.0005, 0.0005 and 0.0025: most at the first, for a slowdown of twice
# the margin must be seen there. Of beta, 0.02, 0.008, 0.008 and 0.014. By simulation, since the looks
# share pairs and the statistic is Student's only without clipping; the tests simulate them again.
SLOWER_AT = (5.32, 5.71, 6.26, 3.86)
NOT_SLOWER_AT = (3.49, 3.09, 2.98, 2.37)

CLIPPED_FROM = 8
"""Pairs from which an outlier can be told from the spread."""
CLIPPED_AT = 3.0
"""Scaled median absolute deviations from the median at which a pair is clipped."""


@dataclass(frozen=True)
class Design:
    """What is to be decided, and within how many pairs.

    Attributes:
        margin: The slowdown to find, as a share: 0.05 for 5 %.
        max_pairs: After which the answer may be UNDECIDED for good.

    Raises:
        ConfigError: A margin outside 0 ... 1, or pairs outside the looks.
    """

    margin: float = 0.05
    max_pairs: int = LOOKS[-1]

    def __post_init__(self) -> None:
        if not 0 < self.margin < 1:
            raise ConfigError(f"margin is {self.margin:g}; it is a share between 0 and 1")
        if not LOOKS[0] <= self.max_pairs <= LOOKS[-1]:
            raise ConfigError(
                f"{self.max_pairs} pairs at most; the rule takes {LOOKS[0]} to {LOOKS[-1]}"
            )

    @property
    def looks(self) -> tuple[int, ...]:
        """Numbers of pairs at which a decision is taken, within `max_pairs`."""
        return tuple(look for look in LOOKS if look <= self.max_pairs)

    @property
    def slowdown(self) -> float:
        """The margin as a log ratio."""
        return math.log1p(self.margin)

    @property
    def threshold(self) -> float:
        """The log ratio from which an estimate is nearer to the margin than to no change."""
        return self.slowdown / 2


@dataclass(frozen=True)
class Decision:
    """What the pairs say of B / A.

    Attributes:
        outcome: UNDECIDED before the last look of the design means: measure more pairs.
        ratio: Estimate of B's step time over A's.
        low: Lower end of the interval, one-sided 99 %; 0 before the first look.
        high: Upper end, one-sided 95 %; infinite before the first look. Together they cover the ratio
            with 94 % at whichever look measuring stops.
        pairs: Pairs the decision rests on; later ones do not change it.
        spread: Standard deviation of a pair's log ratio; NaN for one pair.
        design: By which it was decided.
    """

    outcome: Outcome
    ratio: float
    low: float
    high: float
    pairs: int
    spread: float
    design: Design

    @cached_property
    def power(self) -> float:
        """Probability that a slowdown by the margin is found, at the spread seen; 0 before a look."""
        # Imported late, for it builds on this module.
        from harness.throughput.sequential_rates import power

        return (
            power(self.design.slowdown, self.spread, reached) if (reached := self._reached) else 0.0
        )

    @cached_property
    def detectable(self) -> float:
        """Smallest slowdown found with 95 % power at the spread seen, as a share; infinite before a look."""
        from harness.throughput.sequential_rates import detectable

        if reached := self._reached:
            return math.expm1(detectable(1 - BETA, self.spread, reached))
        return math.inf

    @property
    def rule(self) -> str:
        """The rule in one sentence, with its numbers."""
        percent = 100 * self.design.margin
        looks = ", ".join(map(str, self.design.looks))
        return (
            f"SLOWER where no change is rejected (errs at most {ALPHA:.0%}) and the estimate is nearer to "
            f"+{percent:g} % than to 0, NOT_SLOWER where +{percent:g} % is rejected (errs at most {BETA:.0%}) "
            f"and it is nearer to 0, by group-sequential t-tests over process pairs, looked at after {looks}"
        )

    @property
    def _reached(self) -> Design | None:
        """The design as far as it went: a decision stops early what would have gone on."""
        if self.outcome != "UNDECIDED":
            return self.design
        return Design(self.design.margin, self.pairs) if self.pairs >= LOOKS[0] else None


def decide(log_ratios: Sequence[float], design: Design | None = None) -> Decision:
    """Decide at the first look that is clear; what was measured after it is not used.

    Args:
        log_ratios: log(B / A) of each process pair in the order measured; above 0, B is slower.
        design: By default, 5 % within ten pairs.

    Raises:
        ValueError: No pairs, or a log ratio that is not finite.
    """
    design = design or Design()
    ratios = np.asarray(log_ratios, dtype=np.float64)
    if ratios.ndim != 1 or not ratios.size or not np.isfinite(ratios).all():
        raise ValueError(f"log ratios must be finite and at least one: {list(log_ratios)}")
    for look in design.looks:
        if look <= ratios.size:
            decision = _at(ratios[:look], design)
            if decision.outcome != "UNDECIDED":
                return decision
    return _at(ratios[: design.max_pairs], design)


def _at(ratios: Floats, design: Design) -> Decision:
    center, error, spread = (float(value) for value in estimate(ratios))
    # Between two looks the wider interval of the one before holds, but nothing is decided.
    index = sum(look <= ratios.size for look in LOOKS) - 1
    low = center - SLOWER_AT[index] * error if index >= 0 else -math.inf
    high = center + NOT_SLOWER_AT[index] * error if index >= 0 else math.inf
    outcome: Outcome = "UNDECIDED"
    if ratios.size in design.looks:
        if low > 0 and center >= design.threshold:
            outcome = "SLOWER"
        elif high < design.slowdown and center < design.threshold:
            outcome = "NOT_SLOWER"
    return Decision(
        outcome, math.exp(center), math.exp(low), math.exp(high), ratios.size, spread, design
    )


def estimate(ratios: Floats) -> tuple[Floats, Floats, Floats]:
    """Return the mean, its standard error and the standard deviation over the last axis.

    From eight pairs on, values further than three scaled median absolute deviations from the median are
    clipped to there: one pair in disorder neither moves the mean nor hides a slowdown behind its spread.

    Args:
        ratios: Shape (..., pairs).

    Source:
        J. W. Tukey, D. H. McLaughlin, "Less vulnerable confidence and significance procedures for
        location", Sankhya A 25 (1963); P. J. Huber, "Robust Statistics" (1981), on clipping at the MAD.
    """
    pairs = ratios.shape[-1]
    # Sorted, the order of the pairs cannot move the last digit of a sum.
    ratios = np.sort(ratios, axis=-1)
    if pairs >= CLIPPED_FROM:
        median = np.median(ratios, axis=-1, keepdims=True)
        # 1.4826 makes it the standard deviation of a normal distribution.
        scaled = 1.4826 * np.median(np.abs(ratios - median), axis=-1, keepdims=True)
        # Half the values equal: their MAD of 0 says nothing of the others.
        reach = np.where(scaled > 0, CLIPPED_AT * scaled, np.inf)
        ratios = np.clip(ratios, median - reach, median + reach)
    if pairs == 1:
        unknown = np.full(ratios.shape[:-1], np.nan)
        return ratios[..., 0], unknown, unknown
    spread = ratios.std(axis=-1, ddof=1)
    return ratios.mean(axis=-1), spread / math.sqrt(pairs), spread
