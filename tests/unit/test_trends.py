"""Theil-Sen slopes and the Mann-Kendall test: what they promise of any series."""

import math
import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.history.trends import LONGEST, mann_kendall, theil_sen

values = st.lists(st.floats(-1e6, 1e6).map(lambda x: round(x, 3)), min_size=4, max_size=40)


@given(st.floats(-100, 100), st.integers(2, 60))
def test_the_slope_of_a_line_is_its_own(slope: float, count: int) -> None:
    assert theil_sen([3 + slope * n for n in range(count)]) == pytest.approx(slope, abs=1e-9)


@given(values, st.floats(-50, 50))
def test_adding_a_line_adds_its_slope(series: list[float], slope: float) -> None:
    tilted = [value + slope * n for n, value in enumerate(series)]
    assert theil_sen(tilted) == pytest.approx(theil_sen(series) + slope, abs=1e-6)


@given(values)
def test_a_series_and_its_reverse_cannot_both_rise(series: list[float]) -> None:
    forward, backward = mann_kendall(series), mann_kendall(series[::-1])
    assert max(forward, backward) >= 0.5


def test_a_single_jump_has_no_slope() -> None:
    assert theil_sen([180.0] * 4 + [200.0] * 23) == 0


def test_the_chance_is_that_of_the_textbook() -> None:
    # Without ties: S of a series that always rises is n (n - 1) / 2, its variance as below.
    count = 12
    z = (count * (count - 1) / 2 - 1) / math.sqrt(count * (count - 1) * (2 * count + 5) / 18)
    assert mann_kendall(list(range(count))) == pytest.approx(1 - statistics.NormalDist().cdf(z))


@pytest.mark.parametrize("series", [[], [1.0], [5.0] * 20, list(range(20, 0, -1))])
def test_what_does_not_rise_has_chance_1(series: list[float]) -> None:
    assert mann_kendall(series) == 1


def test_a_long_series_is_thinned_and_keeps_its_slope() -> None:
    series = [0.5 * n for n in range(50 * LONGEST)]
    assert theil_sen(series) == pytest.approx(0.5)
    assert mann_kendall(series) < 1e-12


def test_one_value_has_no_slope() -> None:
    with pytest.raises(ValueError, match="two values, got 1"):
        theil_sen([1.0])
