import math
import random
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import MissingExtraError
from harness.history.change_points import find_change_points


def noise(count: int, seed: int = 5) -> list[float]:
    rng = random.Random(seed)
    return [100 * (1 + rng.gauss(0, 0.01)) for _ in range(count)]


def test_a_fall_of_5_percent_is_found_where_it_is() -> None:
    values = [v * (0.95 if index >= 20 else 1) for index, v in enumerate(noise(30))]

    (found,) = find_change_points(values, 0.01)

    assert found.index == 20
    assert found.change == pytest.approx(-0.05, abs=0.01)
    assert found.p_value < 0.001


@pytest.mark.parametrize("count", [60, 200, 700])
def test_a_fall_is_found_late_in_a_long_series_too(count: int) -> None:
    # Otava cuts a series into windows; of a numpy array it does not, and counts wrongly.
    values = [v * (0.9 if index >= count - 20 else 1) for index, v in enumerate(noise(count))]

    assert count - 20 in [p.index for p in find_change_points(values, 0.05)]


def test_noise_has_no_change() -> None:
    assert find_change_points(noise(30), 0.01) == []


def test_a_change_below_the_smallest_that_counts_is_none() -> None:
    values = [1.0] * 10 + [1.005] * 10

    assert [p.index for p in find_change_points(values, 0.001)] == [10]
    assert find_change_points(values, 0.01) == []


def test_what_is_not_finite_is_passed_over_and_counted() -> None:
    values = [math.nan, 1.0, 1.0, math.inf, 1.0, 1.0, math.nan, 2.0, 2.0, 2.0]

    assert [p.index for p in find_change_points(values, 0.01)] == [7]


@given(st.lists(st.floats() | st.just(0.0), max_size=60))
def test_any_series_has_changes_at_places_of_its_own(values: list[float]) -> None:
    found = [point.index for point in find_change_points(values, 0.01)]

    assert found == sorted(set(found))
    assert all(0 < index < len(values) for index in found)


@given(st.floats(1e-3, 1e3), st.integers(3, 20), st.integers(3, 20), st.sampled_from([0.5, 1.1, 3]))
def test_a_clean_step_is_found_at_any_scale(
    level: float, before: int, after: int, factor: float
) -> None:
    values = [level] * before + [level * factor] * after

    (found,) = find_change_points(values, 0.01)

    assert found.index == before
    assert found.change == pytest.approx(factor - 1)


@pytest.mark.parametrize(("count", "at_most"), [(5, 0.03), (20, 0.06)])
def test_false_alarms_of_noise_are_rare(count: int, at_most: float) -> None:
    # 1.5 % is how far the medians of two processes are apart on shared cores.
    rng = random.Random(11)
    series = [[100 * (1 + rng.gauss(0, 0.015)) for _ in range(count)] for _ in range(400)]

    alarms = sum(bool(find_change_points(values, 0.01)) for values in series)

    assert alarms / len(series) <= at_most


def test_a_fall_of_5_percent_amid_20_runs_is_nearly_always_found() -> None:
    rng = random.Random(13)
    series = [
        [100 * (1 + rng.gauss(0, 0.015)) * (0.95 if n >= 10 else 1) for n in range(20)]
        for _ in range(200)
    ]

    assert sum(bool(find_change_points(values, 0.01)) for values in series) >= 190


def test_without_otava_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "otava.analysis", None)

    with pytest.raises(
        MissingExtraError, match=r"apache-otava is not installed.*uv sync --extra history"
    ) as raised:
        find_change_points([1.0, 2.0, 3.0], 0.01)
    assert raised.value.exit_code == 21
