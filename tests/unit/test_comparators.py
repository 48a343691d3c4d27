"""Each rule finds what it says it finds, and nothing where nothing is."""

import numpy as np
import pytest

from harness.sensitivity.comparators import RULES, Asv, Pyperf, PytestBenchmark, Rule, Sequential
from harness.sensitivity.pool import Sides

SEEDS = range(4)


def pairs(slowdown: float, count: int = 6, spread: float = 0.02, seed: int = 0) -> list[Sides]:
    random = np.random.default_rng(seed)
    return [
        Sides(
            tuple(0.075 * np.exp(random.normal(0, spread, 40))),
            tuple(0.075 * (1 + slowdown) * np.exp(random.normal(0, spread, 40))),
        )
        for _ in range(count)
    ]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
@pytest.mark.parametrize("seed", SEEDS)
def test_every_rule_finds_a_quarter(rule: Rule, seed: int) -> None:
    assert rule(pairs(0.25, seed=seed)).slower


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
@pytest.mark.parametrize("seed", SEEDS)
def test_no_rule_calls_a_faster_side_slower(rule: Rule, seed: int) -> None:
    assert not rule(pairs(-0.2, seed=seed)).slower


@pytest.mark.parametrize(
    ("rule", "below", "above"),
    [
        (PytestBenchmark("mean:5%"), 0.035, 0.065),
        (PytestBenchmark("mean:3%"), 0.015, 0.045),
        (PytestBenchmark("min:5%"), 0.02, 0.09),
        (Asv(1.1), 0.08, 0.12),
        (Asv(1.05), 0.03, 0.07),
        (Pyperf(3), 0.015, 0.045),
        (Sequential(), 0.01, 0.045),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_a_rule_draws_its_line_where_it_says(rule: Rule, below: float, above: float) -> None:
    assert not rule(pairs(below)).slower
    assert rule(pairs(above)).slower


def test_pyperf_alone_calls_any_significant_difference_slower() -> None:
    assert Pyperf()(pairs(0.01)).slower
    assert not Pyperf(3)(pairs(0.01)).slower


def test_asv_wants_significance_where_the_ratio_alone_would_do() -> None:
    # Four steps a side: the medians are 25 % apart, and two samples of four cannot be told apart.
    noisy = [Sides((0.08, 0.09, 0.10, 0.20), (0.075, 0.118, 0.12, 0.13))]
    assert not Asv(1.1)(noisy).slower


def test_the_own_rule_stops_early_and_the_others_use_everything() -> None:
    measured = pairs(0.10, count=10)
    assert Sequential()(measured).pairs == 4
    assert PytestBenchmark("mean:5%")(measured).pairs == 10


def test_drift_that_both_sides_share_does_not_hide_a_slowdown_from_the_own_rule() -> None:
    random = np.random.default_rng(3)
    drift = np.exp(np.cumsum(random.normal(0, 0.05, 60)))
    measured = [
        Sides(
            tuple(0.075 * drift * np.exp(random.normal(0, 0.02, 60))),
            tuple(0.075 * 1.05 * drift * np.exp(random.normal(0, 0.02, 60))),
        )
        for _ in range(6)
    ]
    assert Sequential()(measured).slower
