"""Rates, their intervals, and the table, on pools whose truth is known."""

import math
import os
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from harness.errors import CorruptRecordError, StorageError
from harness.reports.sensitivity import Study, markdown, render
from harness.sensitivity.comparators import Answer, PytestBenchmark, Rule, Sequential
from harness.sensitivity.pool import Sides, append, read_pool
from harness.sensitivity.rates import (
    Rate,
    independent_sequences,
    leaks,
    proportion_interval,
    rates,
    spreads,
)
from harness.verdict import Outcome
from tests.unit.pools import pool

OWN = Sequential()
RULES: tuple[Rule, ...] = (OWN, PytestBenchmark("mean:5%"))


@pytest.fixture(scope="module")
def study() -> Study:
    blocks = pool()
    found = list(rates(blocks, RULES, sequences=200))
    return Study("cell", "a machine", 24, OWN.name, found, list(spreads(blocks)))


def rate(study: Study, rule: Rule, size: float, budget: int) -> Rate:
    found = study.rate(rule.name, size, budget)
    assert found is not None
    return found


def test_the_own_rule_meets_the_targets_on_pairs_of_one_percent_spread(study: Study) -> None:
    assert rate(study, OWN, 0, 10).share <= 0.01
    assert rate(study, OWN, 0.05, 10).share >= 0.95
    assert rate(study, OWN, 0.10, 4).share >= 0.95
    assert rate(study, OWN, 0.10, 10).pairs < 5
    assert study.meets(OWN.name) is True
    assert study.exit_code == 0


def test_a_threshold_at_the_margin_misses_half_of_what_lies_there(study: Study) -> None:
    assert 0.2 < rate(study, RULES[1], 0.05, 10).share < 0.8
    assert study.meets(RULES[1].name) is False


def test_a_pool_that_is_too_noisy_misses_the_targets() -> None:
    blocks = pool(pairs=120, spread=0.08, sizes=(0.0, 0.05, 0.10))
    found = list(rates(blocks, (OWN,), sequences=400))
    noisy = Study("cell", "a machine", 120, OWN.name, found, list(spreads(blocks)))
    assert noisy.meets(OWN.name) is False
    assert noisy.exit_code == 1
    assert rate(noisy, OWN, 0, 10).share <= 0.015


def test_a_pool_of_fewer_pairs_than_a_budget_says_nothing_of_it() -> None:
    blocks = pool(pairs=5)
    small = Study("cell", "m", 5, OWN.name, list(rates(blocks, (OWN,), sequences=20)), [])
    assert small.rate(OWN.name, 0.05, 10) is None
    assert rate(small, OWN, 0.05, 4).share <= 1
    assert small.meets(OWN.name) is None
    assert small.exit_code == 19
    assert "not measured" in markdown(small, "nox -s sensitivity")


def test_a_difference_between_the_roles_is_no_rate_of_false_alarms() -> None:
    """Each side of an unslowed pair is called slower as often as the other."""

    class AfterIsLonger:
        name = "after is longer"

        def __call__(self, pairs):  # type: ignore[no-untyped-def]
            return Answer(sum(pair.log_ratio for pair in pairs) > 0, len(pairs))

    # All pairs lean the same way; exchanged at random they do not.
    leaning = [b for b in pool(pairs=60, sizes=(0.0,)) if b.sides.log_ratio > 0]
    found = list(rates(leaning, (AfterIsLonger(),), sequences=2000))
    assert all(one.share == pytest.approx(0.5, abs=0.08) for one in found)


def test_the_same_pool_gives_the_same_rates() -> None:
    blocks = pool(sizes=(0.03,))
    one, other = (list(rates(blocks, (OWN,), sequences=100)) for _ in range(2))
    assert one == other


@pytest.mark.parametrize(("pairs", "budget"), [(24, 4), (40, 10)])
def test_sequences_of_few_pairs_are_worth_few(pairs: int, budget: int) -> None:
    """A pair that is always found: its sequences are as good as 2000, but there is one such pair."""
    random = np.random.default_rng(1)
    drawn = np.argsort(random.random((4000, pairs)), axis=1)[:, :budget]
    hits = (drawn == 0).any(axis=1)
    independent = independent_sequences(hits, drawn, pairs)
    assert independent == pytest.approx(pairs / budget, rel=0.3)


def test_sequences_that_all_agree_are_worth_those_that_share_no_pair() -> None:
    drawn = np.tile(np.arange(10), (50, 1))
    assert independent_sequences(np.ones(50, dtype=bool), drawn, 30) == 3


@given(st.integers(1, 200), st.data())
def test_an_interval_holds_its_share_and_narrows_with_the_number(
    count: int, data: st.DataObject
) -> None:
    share = data.draw(st.integers(0, count)) / count
    low, high = proportion_interval(share, count)
    assert 0 <= low <= share <= high <= 1
    narrower = proportion_interval(share, 4 * count)
    assert narrower[1] - narrower[0] <= high - low


def test_an_interval_is_clopper_and_pearsons() -> None:
    # 0 of 30 and 29 of 30, from the tables of Geigy.
    assert proportion_interval(0, 30) == pytest.approx((0, 0.1157), abs=1e-4)
    assert proportion_interval(29 / 30, 30) == pytest.approx((0.8278, 0.9992), abs=1e-4)


def test_spreads_find_what_was_injected() -> None:
    found = {(s.size, s.kind): s for s in spreads(pool(pairs=60))}
    five = found[0.05, None]
    assert five.low < 0.05 < five.high
    assert five.sd_low < 0.0125 < five.sd_high
    assert found[0.25, "matmul"].pairs == 20
    assert (0.0, "sleep") not in found


def test_one_pair_alone_has_no_spread_and_no_rates() -> None:
    blocks = pool(pairs=1)
    single = Study("cell", "m", 1, OWN.name, list(rates(blocks, (OWN,))), list(spreads(blocks)))
    text = markdown(single, "nox -s sensitivity")
    assert "nan" not in text
    assert "no rates yet" in text
    assert single.exit_code == 19


def test_the_own_error_of_a_pair_is_the_spread_that_its_turns_explain() -> None:
    """Pairs without luck of their own spread by their own errors alone."""
    (spread,) = spreads(pool(pairs=200, spread=0.0, step_spread=0.04, sizes=(0.0,)))
    assert spread.own_error == pytest.approx(spread.sd, rel=0.2)
    (lucky,) = spreads(pool(pairs=200, spread=0.05, step_spread=0.04, sizes=(0.0,)))
    assert lucky.own_error == pytest.approx(spread.own_error, rel=0.1)
    assert math.isnan(Sides((1.0, 1.0), (1.0, 1.0)).own_error)


def test_leaks_are_rates_of_runs() -> None:
    found = leaks([Outcome.FAIL] * 9 + [Outcome.TIMEOUT], leaking=True)
    assert (found.share, found.runs) == (0.9, 10)
    assert leaks([Outcome.PASS] * 30, leaking=False).high == pytest.approx(0.1157, abs=1e-4)
    with pytest.raises(ValueError, match="no runs"):
        leaks([], leaking=True)


def test_the_tables_hold_every_rule_and_size(study: Study) -> None:
    text = markdown(study, "nox -s sensitivity -- --pairs 24")
    console = Console(file=StringIO(), width=240)
    console.print(render(study))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    for name in (OWN.name, "pytest-benchmark mean:5%", "25% slower", "false alarms"):
        assert name in text
        assert name in shown
    assert "24 process pairs of cell on a machine" in shown


def test_what_is_appended_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "deep" / "pool.jsonl"
    assert read_pool(file) == []
    blocks = pool(pairs=2)
    append(file, blocks[:5])
    append(file, blocks[5:])
    assert read_pool(file) == blocks


def test_a_pair_that_is_not_appended_whole_is_not_appended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    file = tmp_path / "pool.jsonl"
    blocks = pool(pairs=2)
    append(file, blocks[:5])
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="No space left"):
        append(file, blocks[5:])
    assert read_pool(file) == blocks[:5]
    assert list(tmp_path.iterdir()) == [file]


def test_a_line_cut_short_is_said_with_its_place(tmp_path: Path) -> None:
    file = tmp_path / "pool.jsonl"
    append(file, pool(pairs=1))
    file.write_text(file.read_text()[:-40])
    with pytest.raises(CorruptRecordError, match="line 5"):
        read_pool(file)


def test_a_pool_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot write"):
        append(tmp_path / "file" / "pool.jsonl", pool(pairs=1))


def test_the_power_at_the_upper_end_of_the_spread_is_said(study: Study) -> None:
    assert math.isfinite(study.spreads[0].sd_high)
    assert "at the upper end of the spread" in markdown(study, "nox -s sensitivity")
