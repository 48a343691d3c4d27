import math
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from harness.gate import CellResult, GateResult
from harness.loss_shift import OTHER_DTYPE, SAME_DTYPE, TRAINED, When, shifts
from harness.newest import loss_regressions, to_newest
from harness.record import Record
from harness.upgrades import StepVerdict, judge, steps
from harness.verdict import Outcome
from tests.unit.gate_results import MIXED_UP, RIGHT, gate, on_release
from tests.unit.records import evaluations, make_record

S = StepVerdict
OLD, NEW = "2025.8.6", "2026.1.4"
ROSE = "the last eval_loss rose from 4.9196 to 5.3631 (+9.0 %, more than 1 %)"
MOVED = (
    "eval_loss before any training moved from 7.1158 to 7.0960 (-0.28 %, more than 0.1 %): the "
    "evaluation itself changed"
)
losses = st.floats(0.01, 1e6)
curves = st.tuples(losses, losses)


def run(*losses: float | None, **weights: int) -> Record:
    return make_record(
        evaluations=evaluations(*losses), precision={"weights": weights or {"float16": 80}}
    )


def cell(release: str, *losses: float | None, **changes: Any) -> CellResult:
    return on_release(release, evaluations=evaluations(*losses), **changes)


def over(*series: tuple[float, ...]) -> GateResult:
    releases = ("2025.8.6", "2026.1.4", "2026.5.10")
    return gate(*(cell(r, *s) for r, s in zip(releases, series, strict=False)))


def words(old: Record, new: Record) -> list[str]:
    return [shift.words for shift in shifts(old, new)]


def test_the_release_that_mixed_rows_up_is_seen_twice() -> None:
    old = run(*RIGHT, float16=80)
    new = run(*MIXED_UP, float16=43, float32=37)

    assert words(old, new) == [ROSE, MOVED]
    assert all(shift.is_regression for shift in shifts(old, new))


def test_releases_that_agree_to_their_spread_have_no_shift() -> None:
    assert shifts(run(7.115804, 4.919566), run(7.115798, 4.919659)) == ()


def test_weights_of_another_dtype_may_move_the_untrained_loss_further() -> None:
    nf4 = run(7.1056, 5.5248, 5.0183, 4.9182, float16=38, uint8=42)

    assert shifts(nf4, run(*RIGHT)) == ()
    assert words(run(7.1056, 4.9182), run(7.1158, 4.9196)) == [
        MOVED.replace("7.1158 to 7.0960 (-0.28", "7.1056 to 7.1158 (+0.14")
    ]
    assert [shift.limit for shift in shifts(nf4, run(7.3, 4.9196))] == [OTHER_DTYPE]


def test_weights_that_were_not_seen_are_not_taken_for_the_same_dtype() -> None:
    unknown = run(7.1056, 4.9182)
    unknown.precision.weights = {}

    assert (
        shifts(unknown, unknown.model_copy(update={"evaluations": evaluations(7.1158, 4.9182)}))
        == ()
    )


def test_a_last_loss_that_falls_is_told_and_is_no_regression() -> None:
    (shift,) = shifts(run(7.1158, 5.3631), run(7.1158, 4.9196))

    assert shift.words == "the last eval_loss fell from 5.3631 to 4.9196 (-8.3 %, more than 1 %)"
    assert not shift.is_regression


@pytest.mark.parametrize("lost", [None, math.nan, math.inf, -math.inf])
def test_a_loss_that_is_no_number_is_not_compared(lost: float | None) -> None:
    healthy = run(7.0, 5.0)

    for old, new in ((healthy, run(lost, lost)), (run(lost, lost), healthy)):
        assert shifts(old, new) == ()
    assert [shift.when for shift in shifts(healthy, run(lost, 6.0))] == [When.LAST]


def test_a_run_without_evaluations_or_with_one_is_not_compared_beyond_it() -> None:
    assert shifts(run(), run(7.0, 5.0)) == ()
    assert [shift.when for shift in shifts(run(7.0), run(8.0))] == [When.UNTRAINED]
    trained = run()
    trained.evaluations = evaluations(7.0, 5.0)[1:]
    assert shifts(trained, run(7.0, 5.0)) == ()


def test_a_loss_of_zero_does_not_divide() -> None:
    assert [shift.change for shift in shifts(run(7.0, 0.0), run(7.0, 5.0))] == [math.inf]
    assert shifts(run(7.0, 0.0), run(7.0, 0.0)) == ()


@given(curves)
def test_property_identical_sides_never_shift(curve: tuple[float, float]) -> None:
    assert shifts(run(*curve), run(*curve)) == ()


@given(losses, st.floats(1.011, 100.0))
def test_property_a_rise_beyond_the_limit_is_never_safe(last: float, factor: float) -> None:
    old, new = cell(OLD, 7.0, last), cell(NEW, 7.0, last * factor)

    assert judge(old, new) is S.NOT_SAFE
    assert judge(new, old) is S.SAFE


@given(losses, st.floats(0.5, 2.0))
def test_property_an_untrained_shift_counts_both_ways(first: float, factor: float) -> None:
    assume(abs(factor - 1) > 2 * SAME_DTYPE)
    old, new = cell(OLD, first, 1.0), cell(NEW, first * factor, 1.0)

    assert (judge(old, new), judge(new, old)) == (S.NOT_SAFE, S.NOT_SAFE)


@given(curves, curves, st.integers(-20, 20))
def test_property_the_scale_of_the_losses_does_not_matter(
    old: tuple[float, float], new: tuple[float, float], power: int
) -> None:
    scale = 2.0**power  # exact in binary, so that no rounding moves a loss over its limit

    plain = shifts(run(*old), run(*new))
    scaled = shifts(run(*(x * scale for x in old)), run(*(x * scale for x in new)))

    assert [(s.when, s.change) for s in plain] == [(s.when, s.change) for s in scaled]


@given(curves, st.floats(-0.99, 0.99))
def test_property_within_the_limits_nothing_shifts(
    curve: tuple[float, float], share: float
) -> None:
    moved = (curve[0] * (1 + share * SAME_DTYPE), curve[1] * (1 + share * TRAINED))

    assert shifts(run(*curve), run(*moved)) == ()


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (Outcome.FAIL, Outcome.PASS, S.FIXED),
        (Outcome.FAIL, Outcome.FAIL, S.STILL_RED),
        (Outcome.PASS, Outcome.TIMEOUT, S.NO_ANSWER),
    ],
)
def test_losses_are_compared_where_both_sides_pass_only(
    old: Outcome, new: Outcome, expected: StepVerdict
) -> None:
    sides = [
        on_release(release, outcome, evaluations=evaluations(*curve))
        for release, outcome, curve in ((OLD, old, RIGHT), (NEW, new, MIXED_UP))
    ]

    assert judge(*sides) is expected
    assert loss_regressions(sides) == []


def test_a_run_whose_upgrade_moves_the_loss_is_red_although_every_cell_passes() -> None:
    result = over(RIGHT, MIXED_UP)

    assert {one.outcome for one in result.cells} == {Outcome.PASS}
    assert [step.verdict for step in steps(result.cells)] == [S.NOT_SAFE]
    assert (result.outcome, result.exit_code) == (Outcome.FAIL, 1)


def test_a_loss_that_falls_leaves_the_run_green() -> None:
    result = over((7.1158, 5.3631), (7.1158, 4.9196))

    assert [step.verdict for step in steps(result.cells)] == [S.SAFE]
    assert (result.outcome, result.exit_code) == (Outcome.PASS, 0)


def test_a_release_without_an_answer_in_between_hides_no_shift() -> None:
    middle = on_release("2025.9.1", Outcome.TIMEOUT)
    result = gate(cell(OLD, *RIGHT), middle, cell(NEW, *MIXED_UP))

    assert [step.verdict for step in steps(result.cells)] == [S.NO_ANSWER, S.NO_ANSWER]
    assert [(s.old.label, s.new.label) for s in loss_regressions(result.cells)] == [(OLD, NEW)]
    assert result.exit_code == 1


def test_drift_below_the_limit_in_each_step_is_seen_over_all_of_them() -> None:
    result = over((7.0, 4.0), (7.0, 4.03), (7.0, 4.06))

    assert [step.verdict for step in steps(result.cells)] == [S.SAFE, S.SAFE]
    assert [up.verdict for up in to_newest(result.cells)] == [S.NOT_SAFE]
    assert result.exit_code == 1


def test_a_release_that_evaluated_otherwise_in_between_is_no_measure_for_the_newest() -> None:
    result = over(RIGHT, MIXED_UP, RIGHT)

    (up,) = to_newest(result.cells)

    assert up.old
    assert (up.verdict, up.old.label) == (S.SAFE, OLD)
    assert [step.verdict for step in steps(result.cells)] == [S.NOT_SAFE, S.NOT_SAFE]
    assert result.exit_code == 1


def test_an_evaluation_that_changed_for_good_is_not_safe_to_take() -> None:
    (up,) = to_newest(over(MIXED_UP, RIGHT, RIGHT).cells)

    assert up.old
    assert (up.verdict, up.old.label) == (S.NOT_SAFE, OLD)
