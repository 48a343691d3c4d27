"""The sequential decision: its laws, and its error rates by simulation."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import ConfigError
from harness.throughput.sequential import (
    ALPHA,
    BETA,
    LOOKS,
    NOT_SLOWER_AT,
    SLOWER_AT,
    Design,
    Floats,
    decide,
    estimate,
)
from harness.throughput.sequential_rates import simulate

SEQUENCES = 40_000
ORDER = ("NOT_SLOWER", "UNDECIDED", "SLOWER")
DESIGN = Design()

log_ratios = st.floats(-0.3, 0.3, allow_nan=False).map(lambda value: round(value, 4))
samples = st.lists(log_ratios, min_size=1, max_size=12)
drawn_around = st.builds(
    lambda seed, center, spread: list(
        np.random.default_rng(seed).normal(center, spread, LOOKS[-1])
    ),
    st.integers(0, 10_000),
    st.floats(-0.05, 0.15),
    st.floats(0.001, 0.05),
)
either = st.one_of(samples, drawn_around)


@given(either, st.randoms(use_true_random=False))
def test_the_order_of_pairs_between_two_looks_does_not_matter(sample: list[float], random) -> None:  # type: ignore[no-untyped-def]
    blocks = [sample[a:b] for a, b in zip((0, *LOOKS), (*LOOKS, None), strict=True)]
    for block in blocks:
        random.shuffle(block)
    one, other = decide(sample), decide([value for block in blocks for value in block])
    assert (one.outcome, one.pairs) == (other.outcome, other.pairs)
    if one.pairs in LOOKS:
        assert (one.ratio, one.low, one.high) == (other.ratio, other.low, other.high)


@given(either, st.floats(0.001, 0.2))
def test_slower_pairs_never_move_the_decision_towards_not_slower(
    sample: list[float], shift: float
) -> None:
    shifted = decide([value + shift for value in sample])
    assert ORDER.index(shifted.outcome) >= ORDER.index(decide(sample).outcome)


@given(either)
def test_of_two_sides_at_most_one_is_slower(sample: list[float]) -> None:
    both = [decide(sample), decide([-value for value in sample])]
    assert [d.outcome for d in both].count("SLOWER") < 2


@given(either)
def test_exchanging_the_sides_inverts_the_estimate(sample: list[float]) -> None:
    forward, _, _ = estimate(np.array(sample))
    backward, _, _ = estimate(-np.array(sample))
    assert forward == pytest.approx(-backward, abs=1e-15)


@given(drawn_around, samples)
def test_pairs_after_the_decision_do_not_change_it(sample: list[float], later: list[float]) -> None:
    decision = decide(sample)
    if decision.outcome != "UNDECIDED":
        assert decide([*sample[: decision.pairs], *later]) == decision


@given(either)
def test_a_decision_is_what_its_interval_says(sample: list[float]) -> None:
    decision = decide(sample)
    assert decision.low <= decision.ratio <= decision.high
    if decision.outcome == "SLOWER":
        assert decision.low > 1
        assert decision.ratio >= math.sqrt(1.05) * (1 - 1e-12)
    if decision.outcome == "NOT_SLOWER":
        assert decision.high < 1.05
        assert decision.ratio < math.sqrt(1.05)


@given(st.lists(log_ratios, min_size=10, max_size=10) | drawn_around)
def test_a_simulation_decides_as_the_gate_does(sample: list[float]) -> None:
    decision = decide(sample)
    decided, pairs = simulate(np.array([sample]), DESIGN)
    assert ORDER[decided[0] + 1] == decision.outcome
    assert pairs[0] == decision.pairs


@pytest.mark.parametrize("count", [1, 2, 3, 5, 7, 9])
def test_nothing_is_decided_between_two_looks(count: int) -> None:
    alternating = [0.3 * (-1) ** i for i in range(count - 1)]
    decision = decide([*alternating, 0.3])
    assert decision.outcome == "UNDECIDED"
    assert decision.pairs == count


def test_before_the_first_look_nothing_was_found_yet() -> None:
    decision = decide([0.1, 0.1, 0.1])
    assert (decision.low, decision.high) == (0, math.inf)
    assert (decision.power, decision.detectable) == (0, math.inf)


def test_a_real_but_irrelevant_slowdown_is_not_called_slower() -> None:
    decision = decide([0.0049, 0.0050, 0.0051, 0.0050])
    assert decision.low > 1
    assert decision.outcome == "NOT_SLOWER"


def test_four_percent_shown_without_doubt_is_slower() -> None:
    assert decide([0.0391, 0.0392, 0.0393, 0.0392]).outcome == "SLOWER"


def test_one_pair_in_disorder_does_not_hide_a_slowdown() -> None:
    # Undecided at four and six; without clipping the outlier's spread leaves it so at ten.
    sample = [0.05, 0.02, 0.06, 0.09, -0.30, 0.04, 0.05, 0.06, 0.04, 0.05]
    decision = decide(sample)
    assert decision.outcome == "SLOWER"
    assert decision.ratio == pytest.approx(1.05, abs=0.01)


def test_ties_are_no_reason_to_clip_everything_to_them() -> None:
    _, _, spread = estimate(np.array([0.0] * 6 + [0.05, 0.06]))
    assert spread > 0.01


def test_power_and_what_is_detectable_follow_the_spread_and_the_pairs() -> None:
    quiet = decide([0.001, -0.001, 0.002, -0.002])
    noisy = decide([0.02, -0.03, 0.06, -0.01])
    assert (quiet.outcome, noisy.outcome) == ("NOT_SLOWER", "UNDECIDED")
    assert quiet.power > 0.99 > 0.5 > noisy.power
    assert math.sqrt(1.05) - 1 < quiet.detectable < 0.03 < 0.1 < noisy.detectable
    assert decide([*[0.02, -0.03, 0.06, -0.01] * 2, 0.01, 0.01]).detectable < noisy.detectable


@pytest.mark.parametrize("margin", [0, 1, -0.05])
def test_a_margin_that_is_no_share_is_refused(margin: float) -> None:
    with pytest.raises(ConfigError, match="share between 0 and 1"):
        Design(margin=margin)


@pytest.mark.parametrize("pairs", [0, 3, 11])
def test_pairs_that_the_rule_has_no_look_for_are_refused(pairs: int) -> None:
    with pytest.raises(ConfigError, match="takes 4 to 10"):
        Design(max_pairs=pairs)


@pytest.mark.parametrize("sample", [[], [math.nan], [0.1, math.inf]])
def test_what_was_not_measured_is_refused(sample: list[float]) -> None:
    with pytest.raises(ValueError, match="finite"):
        decide(sample)


def crossings(noise: Floats, at: tuple[float, ...]) -> list[float]:
    """The share of sequences whose statistic first exceeds its critical value at each look."""
    alive = np.ones(len(noise), dtype=bool)
    shares = []
    for look, critical in zip(LOOKS, at, strict=True):
        center, error, _ = estimate(noise[:, :look])
        crossed = alive & (center > critical * error)
        alive &= ~crossed
        shares.append(float(crossed.mean()))
    return shares


@pytest.mark.parametrize(
    ("critical", "spent", "total"),
    [
        (SLOWER_AT, (0.0065, 0.0005, 0.0005, 0.0025), ALPHA),
        (NOT_SLOWER_AT, (0.02, 0.008, 0.008, 0.014), BETA),
    ],
)
def test_critical_values_spend_what_they_may(
    critical: tuple[float, ...], spent: tuple[float, ...], total: float
) -> None:
    count = 400_000
    shares = crossings(np.random.default_rng(5).standard_normal((count, LOOKS[-1])), critical)
    assert sum(spent) == pytest.approx(total)
    for share, allowed in zip(shares, spent, strict=True):
        assert share == pytest.approx(allowed, abs=4 * math.sqrt(allowed / count))


Noise = Callable[[np.random.Generator, tuple[int, int]], Floats]


def normal(random: np.random.Generator, shape: tuple[int, int]) -> Floats:
    return random.standard_normal(shape)


def heavy(random: np.random.Generator, shape: tuple[int, int]) -> Floats:
    return random.standard_t(5, shape) * math.sqrt(3 / 5)


def contaminated(random: np.random.Generator, shape: tuple[int, int]) -> Floats:
    return random.standard_normal(shape) * np.where(random.random(shape) < 0.05, 6, 1)


def rate(noise: Noise, spread: float, slowdown: float, outcome: int, pairs: int) -> float:
    drawn = noise(np.random.default_rng(11), (SEQUENCES, LOOKS[-1]))
    decided, used = simulate(drawn * spread + math.log1p(slowdown), DESIGN)
    return float(np.mean((decided == outcome) & (used <= pairs)))


@pytest.mark.parametrize("spread", [0.016, 0.02, 0.025, 0.05, 0.2])
@pytest.mark.parametrize("noise", [normal, heavy, contaminated])
def test_false_alarms_stay_below_one_percent_at_any_spread(noise: Noise, spread: float) -> None:
    assert rate(noise, spread, 0, outcome=1, pairs=10) < ALPHA


@pytest.mark.parametrize(
    ("noise", "spread"),
    [(normal, 0.016), (normal, 0.025), (heavy, 0.025), (contaminated, 0.016)],
)
def test_five_percent_is_found_within_ten_pairs(noise: Noise, spread: float) -> None:
    assert rate(noise, spread, 0.05, outcome=1, pairs=10) > 0.95


def test_ten_percent_is_found_within_four_pairs() -> None:
    assert rate(normal, 0.016, 0.10, outcome=1, pairs=4) > 0.99
    assert rate(normal, 0.02, 0.10, outcome=1, pairs=4) > 0.95


@pytest.mark.parametrize("spread", [0.016, 0.025, 0.05, 0.2])
def test_a_slowdown_by_the_margin_is_seldom_passed(spread: float) -> None:
    assert rate(normal, spread, 0.05, outcome=-1, pairs=10) < BETA
