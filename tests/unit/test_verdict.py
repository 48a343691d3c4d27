import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from harness.verdict import Outcome, Verdict, cell_outcome


def verdicts(*outcomes: Outcome) -> list[Verdict]:
    return [Verdict(check="c", cell_id="a", outcome=outcome, message="") for outcome in outcomes]


many = st.lists(st.sampled_from(Outcome))


def test_only_three_outcomes_are_red() -> None:
    assert {o for o in Outcome if o.is_red} == {Outcome.FAIL, Outcome.CRASHED, Outcome.OOM}


def test_only_two_outcomes_leave_a_run_unanswered() -> None:
    assert {o for o in Outcome if o.is_unanswered_run} == {Outcome.TIMEOUT, Outcome.INFRA}


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        ((), Outcome.SKIPPED),
        ((Outcome.PASS, Outcome.FAIL), Outcome.FAIL),
        ((Outcome.FAIL, Outcome.CRASHED), Outcome.CRASHED),
        ((Outcome.OOM, Outcome.FAIL, Outcome.TIMEOUT), Outcome.OOM),
        ((Outcome.PASS, Outcome.TIMEOUT), Outcome.TIMEOUT),
        ((Outcome.PASS, Outcome.UNCALIBRATED, Outcome.SKIPPED), Outcome.PASS),
        ((Outcome.UNCALIBRATED, Outcome.SKIPPED), Outcome.UNCALIBRATED),
        ((Outcome.SKIPPED, Outcome.INCOMPARABLE), Outcome.INCOMPARABLE),
    ],
)
def test_cell_outcome(outcomes: tuple[Outcome, ...], expected: Outcome) -> None:
    assert cell_outcome(verdicts(*outcomes)) is expected


@given(many)
def test_property_pass_needs_a_pass_and_nothing_worse(outcomes: list[Outcome]) -> None:
    green = cell_outcome(verdicts(*outcomes)) is Outcome.PASS

    assert green == (
        Outcome.PASS in outcomes and not any(o.is_red or o.is_unanswered_run for o in outcomes)
    )


@given(many)
def test_property_red_exactly_when_something_is_red(outcomes: list[Outcome]) -> None:
    assert cell_outcome(verdicts(*outcomes)).is_red == any(o.is_red for o in outcomes)


@given(many)
def test_property_outcome_is_one_of_those_given(outcomes: list[Outcome]) -> None:
    assert not outcomes or cell_outcome(verdicts(*outcomes)) in outcomes


@given(st.permutations(list(Outcome)))
def test_property_order_does_not_matter(outcomes: list[Outcome]) -> None:
    assert cell_outcome(verdicts(*outcomes)) is Outcome.CRASHED


@given(many, many)
def test_property_more_verdicts_never_turn_red_into_green(
    some: list[Outcome], more: list[Outcome]
) -> None:
    if cell_outcome(verdicts(*some)).is_red:
        assert cell_outcome(verdicts(*some, *more)).is_red


def test_verdict_is_frozen_and_knows_its_fields() -> None:
    (verdict,) = verdicts(Outcome.PASS)

    with pytest.raises(ValidationError):
        verdict.outcome = Outcome.FAIL  # type: ignore[misc]
    with pytest.raises(ValidationError):
        Verdict.model_validate({**verdict.model_dump(), "colour": "green"})
