"""The rule of this gate and those of pytest-benchmark, asv and pyperf, asked the same question.

Each of the others gets every step of all pairs at once, as it would of a benchmark run in as many
processes; the functions are the libraries' own. They come with the dependency group `sensitivity`.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Protocol

from asv.commands.compare import _is_result_better
from asv_runner.statistics import compute_stats
from pyperf._utils import is_significant
from pytest_benchmark.stats import Stats
from pytest_benchmark.utils import parse_compare_fail

from harness.sensitivity.pool import Sides
from harness.throughput.sequential import Design, decide


@dataclass(frozen=True)
class Answer:
    """Whether a rule calls the second side slower, and after how many pairs it knew."""

    slower: bool
    pairs: int


class Rule(Protocol):
    """A rule that finds slowdowns."""

    @property
    def name(self) -> str:
        """As a table has it."""

    def __call__(self, pairs: Sequence[Sides]) -> Answer:
        """Say whether the second sides are slower, with no more than these pairs."""


@dataclass(frozen=True)
class Sequential:
    """`harness compare --throughput`: stops as soon as it is clear."""

    margin: float = 0.05

    @property
    def name(self) -> str:
        """As a table has it."""
        return "harness"

    def __call__(self, pairs: Sequence[Sides]) -> Answer:
        """Decide on the pairs' log ratios."""
        decision = decide([pair.log_ratio for pair in pairs], Design(self.margin, len(pairs)))
        return Answer(decision.outcome == "SLOWER", decision.pairs)


@dataclass(frozen=True)
class PytestBenchmark:
    """`pytest --benchmark-compare --benchmark-compare-fail=EXPRESSION`."""

    expression: str

    @property
    def name(self) -> str:
        """As a table has it."""
        return f"pytest-benchmark {self.expression}"

    def __call__(self, pairs: Sequence[Sides]) -> Answer:
        """Compare one statistic of the steps with its value before."""
        before, after = (_benchmark_stats(side) for side in _steps(pairs))
        return Answer(bool(parse_compare_fail(self.expression).fails(after, before)), len(pairs))


@dataclass(frozen=True)
class Asv:
    """`asv compare --factor FACTOR`: Mann-Whitney at 0.2 %, and the ratio of the medians."""

    factor: float

    @property
    def name(self) -> str:
        """As a table has it."""
        return f"asv --factor {self.factor:g}"

    def __call__(self, pairs: Sequence[Sides]) -> Answer:
        """Ask whether the result before is better, as asv does to mark a regression."""
        before, after = _steps(pairs)
        (median, stats), (now, stats_now) = compute_stats(before, 1), compute_stats(after, 1)
        # Its test is the slow part, and of no consequence where the ratio already says no.
        slower = median < now / self.factor and _is_result_better(
            median, now, (stats, before), (stats_now, after), self.factor
        )
        return Answer(bool(slower), len(pairs))


@dataclass(frozen=True)
class Pyperf:
    """`pyperf compare_to --min-speed PERCENT`: a two-sided t-test at 95 %, and the ratio of the means."""

    min_speed: float | None = None

    @property
    def name(self) -> str:
        """As a table has it."""
        return "pyperf" if self.min_speed is None else f"pyperf --min-speed {self.min_speed:g}"

    def __call__(self, pairs: Sequence[Sides]) -> Answer:
        """Ask whether the means differ significantly, upwards and by enough."""
        before, after = _steps(pairs)
        percent = 100 * (statistics.fmean(after) / statistics.fmean(before) - 1)
        enough = percent > 0 and percent >= (self.min_speed or 0)
        return Answer(enough and bool(is_significant(before, after)[0]), len(pairs))


RULES: tuple[Rule, ...] = (
    Sequential(),
    PytestBenchmark("mean:5%"),
    PytestBenchmark("min:5%"),
    # Thresholds half way to the margin, which a reader of this table would choose for them.
    PytestBenchmark("mean:3%"),
    PytestBenchmark("min:3%"),
    Asv(1.1),
    Asv(1.05),
    Asv(1.03),
    Pyperf(),
    Pyperf(3),
)


def _steps(pairs: Sequence[Sides]) -> tuple[list[float], list[float]]:
    before = chain.from_iterable(pair.before for pair in pairs)
    return list(before), list(chain.from_iterable(pair.after for pair in pairs))


def _benchmark_stats(steps: Sequence[float]) -> dict[str, float]:
    stats = Stats()
    for seconds in steps:
        stats.update(seconds)
    return {field: getattr(stats, field) for field in ("min", "max", "mean", "median")}
