import pytest

from harness.checks import Context
from harness.checks.label_leak import EARLY_STEPS, judge
from harness.verdict import Outcome
from tests.unit.records import NAN, STEPS, make_record
from tests.unit.tolerances import allow


@pytest.fixture(autouse=True)
def _measured(monkeypatch: pytest.MonkeyPatch) -> None:
    allow(monkeypatch, "label_leak", "logits before a changed token", largest=0.0)


def losses(step: int, value: float) -> list[float]:
    return [value if number == step else 4.0 for number in range(1, STEPS + 1)]


def test_ordinary_losses_pass() -> None:
    assert judge(make_record(), Context()).outcome is Outcome.PASS


@pytest.mark.parametrize("step", [1, EARLY_STEPS])
def test_early_loss_below_the_floor_fails(step: int) -> None:
    verdict = judge(make_record(steps={"loss": losses(step, 4e-4)}), Context())

    assert verdict.outcome is Outcome.FAIL
    assert f"training loss of step {step} is 0.0004" in verdict.message


def test_raw_loss_counts_where_the_log_rounds_to_zero() -> None:
    record = make_record(steps={"loss": losses(2, 0.0), "raw_loss": losses(2, 3e-5)})

    assert judge(record, Context()).outcome is Outcome.FAIL


def test_late_loss_below_the_floor_passes() -> None:
    record = make_record(steps={"loss": losses(EARLY_STEPS + 1, 4e-4)})

    assert judge(record, Context()).outcome is Outcome.PASS


def test_eval_loss_below_the_floor_before_training_fails() -> None:
    verdict = judge(make_record(evaluations=[1e-5, 1e-6, 1e-6, 1e-6]), Context())

    assert verdict.outcome is Outcome.FAIL
    assert "eval_loss before training" in verdict.message


def test_no_loss_that_is_a_number_is_skipped() -> None:
    record = make_record(steps={"loss": [0.0, NAN] * 15}, evaluations=[NAN] * 4)

    assert judge(record, Context()).outcome is Outcome.SKIPPED


@pytest.mark.parametrize("mode", ["training", "evaluation"])
def test_a_logit_that_a_later_token_moves_fails(mode: str) -> None:
    moved = {"evaluation": 0.0, "training": 0.0, mode: 1e-3}
    verdict = judge(make_record(probe={"moved_by_later": moved}), Context())

    assert verdict.outcome is Outcome.FAIL
    assert f"earlier logits in {mode} move by 0.001" in verdict.message
    assert "not causal" in verdict.diagnosis[0]


def test_logits_that_move_in_another_dtype_are_uncalibrated() -> None:
    record = make_record(
        probe={"moved_by_later": {"training": 1e-3}}, precision={"autocast": "bfloat16"}
    )

    assert judge(record, Context()).outcome is Outcome.UNCALIBRATED


def test_without_a_probe_the_losses_are_judged() -> None:
    verdict = judge(make_record(probe=None), Context())

    assert verdict.outcome is Outcome.PASS
    assert "was not measured" in verdict.message
