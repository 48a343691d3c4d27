"""Detection and false-alarm rates of rules on sequences drawn from measured process pairs.

Sequences share pairs, so that a thousand of them are not a thousand experiments. The interval of a rate
takes the number of independent sequences that its jackknife variance over the pairs amounts to.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
import numpy.typing as npt
from scipy import stats

from harness.sensitivity.comparators import Rule
from harness.sensitivity.pool import Block, Kind, Sides
from harness.verdict import Outcome

KINDS: tuple[Kind, ...] = get_args(Kind)
SIZES = (0.0, 0.03, 0.05, 0.10, 0.25)
"""Injected slowdowns, as shares of a step."""
BUDGETS = (4, 10)
"""Process pairs that a rule may use."""
SEQUENCES = 1000
"""Drawn for each size and budget, the same for all rules."""
COVERAGE = 0.95


@dataclass(frozen=True)
class Rate:
    """How often a rule says "slower".

    Attributes:
        rule: Its name.
        size: The injected slowdown; at 0 the rate is that of false alarms.
        budget: Pairs that it may use.
        share: Of the sequences.
        low: Lower end of the 95 % interval.
        high: Upper end.
        independent: Sequences without a shared pair that would be as informative.
        pairs: Mean number of pairs used.
    """

    rule: str
    size: float
    budget: int
    share: float
    low: float
    high: float
    independent: float
    pairs: float


@dataclass(frozen=True)
class Leaks:
    """How often the check of memory growth fails, over runs that are independent of each other.

    Attributes:
        leaking: Whether a leak was injected; without one the share is that of false alarms.
        runs: How many.
        share: That failed.
        low: Lower end of the 95 % interval.
        high: Upper end.
    """

    leaking: bool
    runs: int
    share: float
    low: float
    high: float


@dataclass(frozen=True)
class Spread:
    """What the pairs under one slowdown measured.

    Attributes:
        size: Injected.
        kind: What slowed; None for all kinds together.
        pairs: How many.
        measured: Mean slowdown, as a share.
        low: Lower end of its 95 % interval (Student's t).
        high: Upper end.
        sd: Standard deviation of a pair's log ratio; NaN for one pair.
        sd_low: Lower end of its 95 % interval (chi-squared).
        sd_high: Upper end.
        own_error: Median of the pairs' own standard errors: what the sd would be at least if all
            processes were alike.
        own_error_most: That of the most disturbed pair.
    """

    size: float
    kind: Kind | None
    pairs: int
    measured: float
    low: float
    high: float
    sd: float
    sd_low: float
    sd_high: float
    own_error: float
    own_error_most: float


def rates(
    blocks: Sequence[Block],
    rules: Sequence[Rule],
    *,
    sequences: int = SEQUENCES,
    seed: int = 0,
    say: Callable[[str], None] = lambda message: None,
) -> Iterator[Rate]:
    """Yield the rate of each rule, for each size and budget for which there are enough pairs.

    A sequence is drawn without replacement, from pairs of all kinds. Where nothing was injected, the two
    sides of each pair are the same and are exchanged by the toss of a coin: a pair's disorder then counts
    in both directions, and a difference of the roles cannot pass for a rate of false alarms.

    Args:
        blocks: The pool.
        rules: To compare on the same sequences.
        sequences: For each size and budget.
        seed: Of the draws.
        say: Told of each step.
    """
    for size in SIZES:
        pool = [block.sides for block in blocks if block.size == size]
        for budget in BUDGETS:
            if len(pool) < budget:
                continue
            random = np.random.default_rng([seed, round(1000 * size), budget])
            drawn = _draw(random, len(pool), budget, sequences)
            exchanged = random.random(drawn.shape) < (0 if size else 0.5)
            chosen = [
                [pool[i].exchanged if flip else pool[i] for i, flip in zip(row, flips, strict=True)]
                for row, flips in zip(drawn, exchanged, strict=True)
            ]
            for rule in rules:
                say(f"{size:.0%} within {budget} pairs: {rule.name}")
                yield _rate(rule, size, chosen, drawn, len(pool))


def _rate(
    rule: Rule,
    size: float,
    chosen: Sequence[Sequence[Sides]],
    drawn: npt.NDArray[np.int64],
    pool: int,
) -> Rate:
    answers = [rule(pairs) for pairs in chosen]
    hits = np.array([answer.slower for answer in answers])
    used = float(np.mean([answer.pairs for answer in answers]))
    independent = independent_sequences(hits, drawn, pool)
    low, high = proportion_interval(float(hits.mean()), independent)
    budget = drawn.shape[1]
    return Rate(rule.name, size, budget, float(hits.mean()), low, high, independent, used)


def _draw(random: np.random.Generator, pool: int, length: int, count: int) -> npt.NDArray[np.int64]:
    """Return `count` rows of `length` different numbers below `pool`."""
    return np.argsort(random.random((count, pool)), axis=1)[:, :length]


def independent_sequences(
    hits: npt.NDArray[np.bool_], drawn: npt.NDArray[np.int64], pool: int
) -> float:
    """Return how many sequences without a shared pair would determine the rate as well.

    The rate is a U-statistic of the pairs. Its variance is estimated by leaving out one pair at a time,
    and is never larger than that of pool / length sequences that share none.

    Args:
        hits: Whether each sequence was called slower, shape (sequences,).
        drawn: The pairs of each, shape (sequences, length).
        pool: How many pairs there are.

    Source:
        W. Hoeffding, "A class of statistics with asymptotically normal distribution", Ann. Math. Statist.
        19 (1948), for the bound; J. N. Arvesen, "Jackknifing U-statistics", ibid. 40 (1969).
    """
    disjoint: float = pool / drawn.shape[1]
    share = float(hits.mean())
    rest = [hits[~(drawn == pair).any(axis=1)] for pair in range(pool)]
    if not 0 < share < 1 or not all(len(one) for one in rest):
        return disjoint
    without = np.array([one.mean() for one in rest])
    variance = float((pool - 1) / pool * np.sum((without - without.mean()) ** 2))
    return max(disjoint, share * (1 - share) / variance) if variance else disjoint


def proportion_interval(share: float, count: float) -> tuple[float, float]:
    """Return the 95 % Clopper-Pearson interval of a proportion of `count` independent trials.

    Source:
        E. L. Korn, B. I. Graubard, Survey Methodology 24 (1998): the exact interval at the effective
        sample size, which need not be whole.
    """
    tail, hits = (1 - COVERAGE) / 2, share * count
    low = stats.beta.ppf(tail, hits, count - hits + 1) if hits else 0.0
    high = stats.beta.ppf(1 - tail, hits + 1, count - hits) if hits < count else 1.0
    return float(low), float(high)


def leaks(outcomes: Sequence[Outcome], *, leaking: bool) -> Leaks:
    """Return how often the check failed; a run without an answer has not found anything.

    Raises:
        ValueError: No outcomes.
    """
    if not outcomes:
        raise ValueError("no runs, no rate")
    share = sum(outcome is Outcome.FAIL for outcome in outcomes) / len(outcomes)
    return Leaks(leaking, len(outcomes), share, *proportion_interval(share, len(outcomes)))


def spreads(blocks: Sequence[Block]) -> Iterator[Spread]:
    """Yield what the pairs measured under each slowdown, of all kinds together and of each."""
    for size in SIZES:
        for kind in (None, *KINDS) if size else (None,):
            pairs = [b.sides for b in blocks if b.size == size and kind in (None, b.kind)]
            if pairs:
                yield _spread(size, kind, pairs)


def _spread(size: float, kind: Kind | None, pairs: Sequence[Sides]) -> Spread:
    ratios, own = [pair.log_ratio for pair in pairs], [pair.own_error for pair in pairs]
    count, mean = len(ratios), float(np.mean(ratios))
    sd = float(np.std(ratios, ddof=1)) if count > 1 else math.nan
    tail = (1 - COVERAGE) / 2
    half = float(stats.t.ppf(1 - tail, count - 1)) * sd / math.sqrt(count)
    chi = stats.chi2.ppf([1 - tail, tail], count - 1)
    sd_low, sd_high = (float(sd * math.sqrt((count - 1) / quantile)) for quantile in chi)
    measured, low, high = (math.expm1(value) for value in (mean, mean - half, mean + half))
    errors = float(np.median(own)), max(own)
    return Spread(size, kind, count, measured, low, high, sd, sd_low, sd_high, *errors)
