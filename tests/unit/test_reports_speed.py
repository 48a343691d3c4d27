"""Intervals of speed and memory, the figures by family, and the band around them."""

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from harness.cell_result import CellResult
from harness.loss_shift import SAME_DTYPE, TRAINED
from harness.reports import intervals, loss_figures, speed, views
from harness.verdict import Outcome, Verdict
from tests.unit.gate_results import cell, on_release
from tests.unit.records import NAN, make_record, steps


@given(st.lists(st.floats(1, 1e6), min_size=1, max_size=60))
def test_the_interval_of_a_median_holds_it_at_the_stated_confidence(values: list[float]) -> None:
    median = statistics.median(values)
    known = intervals.of_median(median, values)

    if known.low is None or known.high is None:
        assert len(values) < 6
        return
    assert known.low <= median <= known.high
    ordered = sorted(values)
    rank = ordered.index(known.low) + 1
    # The median lies outside if fewer than `rank` values lie on one of its sides.
    assert 2 * binom.cdf(rank - 1, len(values), 0.5) <= 1 - intervals.CONFIDENCE + 1e-12


@pytest.mark.parametrize(("count", "rank"), [(5, 0), (6, 1), (27, 8), (100, 40)])
def test_ranks_are_those_of_the_tables(count: int, rank: int) -> None:
    """Conover, table of the binomial distribution; 27 steps are those of a tiny cell."""
    known = intervals.of_median(0.0, [float(value) for value in range(1, count + 1)])

    assert (known.low or 0) == rank


def test_one_value_has_no_range() -> None:
    assert intervals.of_range([3.0]) == intervals.Interval(3.0)
    assert intervals.of_range([3.0, 5.0, 2.0]) == intervals.Interval(3.0, 2.0, 5.0)


def row(result: CellResult) -> speed.SpeedRow:
    (found,) = speed.rows(views.cell_views([result]))
    return found


def test_peak_memory_has_the_range_over_repeats() -> None:
    record = make_record()
    repeat = record.model_copy(
        update={"phases": [p.model_copy(update={"peak_rss": 1 << 30}) for p in record.phases]}
    )
    found = row(CellResult(record=record, repeats=[repeat], verdicts=[]))

    assert found.memory is not None
    assert found.memory.interval == intervals.Interval(905 << 20, 905 << 20, 1 << 30)
    assert found.memory_kind == "RSS in generate"


def test_the_baselines_band_is_shown_where_a_check_had_one() -> None:
    bands = {"tokens_per_s": {"low": 900.0, "center": 1000.0, "high": 1100.0}}
    said = Verdict(
        check="throughput", cell_id="c", outcome=Outcome.PASS, message="", evidence={"bands": bands}
    )
    found = row(CellResult(record=make_record(), verdicts=[said]))

    assert found.tokens_per_s is not None
    assert found.tokens_per_s.band == (900.0, 1100.0)
    assert found.tokens_per_s.interval.low is not None
    assert found.eval_s is not None
    assert found.eval_s.band is None


def test_what_was_not_measured_is_no_zero() -> None:
    found = row(CellResult(record=make_record(steps=steps(2)), verdicts=[]))

    assert found.tokens_per_s is None
    empty = make_record(steps=[], evaluations=[], phases=[])
    assert speed.rows(views.cell_views([CellResult(record=empty, verdicts=[])])) == []


def test_a_family_has_one_figure_with_its_releases_in_order_and_the_reference_last() -> None:
    reference = cell(
        make_record(
            cell_id="reference-2026.10.9/t4/auto/hot",
            **{
                name: getattr(on_release("2026.10.9").record, name)
                for name in ("hardware", "dtype_request", "recipe", "recipe_digest")
            },
            stack={"name": "reference-2026.10.9", "family": "reference"},
        )
    )
    shown = views.cell_views([reference, on_release("2026.10.9"), on_release("2025.3.14")])
    (figure,) = loss_figures.figures(shown)

    assert [line.view.record.stack.name for line in figure.lines] == [
        "unsloth-2025.3.14",
        "unsloth-2026.10.9",
        "reference-2026.10.9",
    ]


def test_the_band_is_around_the_oldest_release_that_passes() -> None:
    shown = views.cell_views(
        [on_release("2025.3.14", Outcome.FAIL), on_release("2025.6.8"), on_release("2026.10.9")]
    )
    (figure,) = loss_figures.figures(shown)

    assert figure.band is not None
    assert figure.band.around.record.stack.name == "unsloth-2025.6.8"
    losses = figure.band.around.record.eval_losses
    (_, low, high), *_, (_, last_low, last_high) = figure.band.edges
    assert (low, high) == pytest.approx(
        (losses[0] * (1 - SAME_DTYPE), losses[0] * (1 + SAME_DTYPE))
    )
    assert (last_low, last_high) == pytest.approx(
        (losses[-1] * (1 - TRAINED), losses[-1] * (1 + TRAINED))
    )


def test_a_family_in_which_nothing_passes_has_no_band_and_comes_first() -> None:
    broken = on_release("2026.10.9", Outcome.FAIL, evaluations=[NAN, NAN, NAN, NAN])
    first, second = loss_figures.figures(
        views.cell_views([on_release("2026.10.9", recipe="mild"), broken])
    )

    assert first.band is None
    assert second.band is not None
