import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.checks import Context
from harness.checks.determinism import first_difference, judge
from harness.record import Record
from harness.verdict import Outcome, Verdict
from tests.unit.records import EVAL_LOSSES, NAN, STEPS, evaluations, make_record


def repeated(**changes: Any) -> Verdict:
    return judge(make_record(), Context(repeats=(make_record(repeat=1, **changes),)))


def one_ulp(step: int, field: str) -> dict[str, list[float]]:
    values = [getattr(s, field) for s in make_record().steps]
    values[step - 1] = math.nextafter(values[step - 1], math.inf)
    return {field: values}


def test_equal_repeats_pass() -> None:
    verdict = repeated(started_at="2026-10-21T12:00:00+00:00", duration_s=99.0)

    assert verdict.outcome is Outcome.PASS
    # loss, raw loss and grad_norm of each step, two losses of each evaluation, the adapter
    assert verdict.evidence["values"] == 3 * STEPS + 2 * len(EVAL_LOSSES) + 1


def test_no_repeat_is_skipped() -> None:
    verdict = judge(make_record(), Context())

    assert verdict.outcome is Outcome.SKIPPED
    assert verdict.message == "no repeat of this cell in this run"


@pytest.mark.parametrize("changes", [{"key": "another"}, {"status": "CRASHED"}])
def test_record_that_is_no_completed_repeat_is_not_compared(changes: dict[str, Any]) -> None:
    assert repeated(**changes, evaluations=[1.0, 2.0, 3.0, 4.0]).outcome is Outcome.SKIPPED


@pytest.mark.parametrize(
    ("changes", "where", "cause"),
    [
        ({"steps": one_ulp(1, "raw_loss")}, "loss of step 1 is", "first training batch"),
        ({"steps": one_ulp(7, "raw_loss")}, "loss of step 7 is", "start equal and part"),
        ({"steps": {"loss": 4.0}}, "loss of step 1 is", "first training batch"),
        ({"steps": one_ulp(7, "grad_norm")}, "grad_norm of step 7", "part"),
        ({"evaluations": [6.75, 4.73, 4.38, 4.27]}, "eval_loss of the evaluation at step 0",
         "before training"),
        ({"evaluations": evaluations(*EVAL_LOSSES, token_loss=1.0)}, "token_loss of the", "before"),
        ({"adapter": {"digest_after": "eeeeeeeeeeee"}}, "digest of the adapter", "too coarse"),
        ({"evaluations": EVAL_LOSSES[:-1]}, "what was logged is", "did not take the same steps"),
        ({"adapter": None}, "what was logged is", "did not take the same steps"),
    ],
)  # fmt: skip
def test_difference_fails_at_its_place_with_both_values(
    changes: dict[str, Any], where: str, cause: str
) -> None:
    verdict = repeated(**changes)

    assert verdict.outcome is Outcome.FAIL
    assert where in verdict.message
    assert cause in verdict.diagnosis[0]
    assert verdict.evidence["here"] in verdict.message
    assert verdict.evidence["there"] in verdict.message


def test_first_difference_in_the_order_of_the_run_is_reported() -> None:
    verdict = repeated(steps=one_ulp(12, "raw_loss"), evaluations=[6.74, 4.74, 4.38, 4.27])

    assert "evaluation at step 10" in verdict.message


def test_any_of_several_repeats_can_fail() -> None:
    same, other = make_record(repeat=1), make_record(repeat=2, evaluations=[6.74, 4.73, 4.38, 4.2])

    assert judge(make_record(), Context(repeats=(same, other))).outcome is Outcome.FAIL


def test_nan_equals_nan_and_minus_zero_is_not_zero() -> None:
    broken = make_record(steps={"loss": NAN}, evaluations=[NAN] * 4)
    again = make_record(repeat=1, steps={"loss": NAN}, evaluations=[NAN] * 4)

    assert first_difference(broken, again) is None
    assert first_difference(
        make_record(steps={"loss": 0.0}), make_record(steps={"loss": -0.0})
    ) == ("loss of step 1", "0.0", "-0.0")


series = st.lists(st.none() | st.floats(), max_size=5).map(
    lambda losses: make_record(evaluations=losses)
)


@given(series)
def test_property_reflexive(record: Record) -> None:
    reread = Record.model_validate_json(record.model_dump_json())

    assert first_difference(record, record) is None
    assert first_difference(record, reread) is None


@given(series, series)
def test_property_symmetric(one: Record, other: Record) -> None:
    there = first_difference(one, other)
    back = first_difference(other, one)

    assert (there is None) == (back is None)
    if there is not None:
        assert back == (there[0], there[2], there[1])
