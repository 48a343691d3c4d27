from typing import Any

import pytest

from harness.checks import Context
from harness.checks.evaluation_complete import judge
from harness.record import Evaluation
from harness.verdict import Outcome
from tests.unit.records import EVAL_LOSSES, NAN, evaluations, make_record

HEALTHY = evaluations(*EVAL_LOSSES)


def with_one_changed(index: int, **changes: Any) -> list[Evaluation]:
    return [e.model_copy(update=changes) if i == index else e for i, e in enumerate(HEALTHY)]


def test_one_evaluation_before_training_and_after_each_epoch_passes() -> None:
    verdict = judge(make_record(), Context())

    assert verdict.outcome is Outcome.PASS
    assert "4 evaluations" in verdict.message


def test_float_noise_in_the_epoch_passes() -> None:
    record = make_record(evaluations=with_one_changed(2, epoch=1.9999999))

    assert judge(record, Context()).outcome is Outcome.PASS


@pytest.mark.parametrize(
    ("faulty", "named", "cause"),
    [
        (HEALTHY[1:], "no evaluation before training", "schedule"),
        (HEALTHY[:-1], "no evaluation at the end of epoch 3", "schedule"),
        ([HEALTHY[0], *HEALTHY], "2 evaluations before training", "schedule"),
        ([*HEALTHY, *with_one_changed(3, epoch=4.0)[3:]], "epoch 4 was not planned", ""),
        ([*HEALTHY, *with_one_changed(3, epoch=2.5)[3:]], "epoch 2.5 was not planned", ""),
        ([], "no evaluation at the end of epoch 2", "schedule"),
        (with_one_changed(2, eval_loss=None), "eval_loss is missing in the evaluation of epoch 2",
         "label_names"),
        (with_one_changed(0, eval_loss=None), "eval_loss is missing in the evaluation before",
         "label_names"),
        (with_one_changed(3, eval_loss=float("inf")), "eval_loss is inf", ""),
        (with_one_changed(1, eval_loss=NAN), "eval_loss is nan in the evaluation of epoch 1", ""),
        (with_one_changed(1, token_accuracy=None), "token_accuracy is missing", "logits"),
        (with_one_changed(1, token_accuracy=NAN), "token_accuracy is nan", ""),
        (with_one_changed(1, token_accuracy=1.5), "token_accuracy is 1.5", ""),
    ],
)  # fmt: skip
def test_incomplete_evaluation_fails_and_is_named(
    faulty: list[Evaluation], named: str, cause: str
) -> None:
    verdict = judge(make_record(evaluations=faulty), Context())

    assert verdict.outcome is Outcome.FAIL
    assert named in verdict.message
    assert any(cause in text for text in verdict.diagnosis) or not cause


def test_plan_follows_the_recipe() -> None:
    verdict = judge(make_record(recipe={"epochs": 4}), Context())

    assert verdict.outcome is Outcome.FAIL
    assert "no evaluation at the end of epoch 4" in verdict.message


def test_schedule_that_ran_is_shown() -> None:
    record = make_record(evaluations=HEALTHY[1:])
    assert record.executed is not None
    record.executed.arguments["eval_on_start"] = False

    assert "eval_on_start = False" in judge(record, Context()).diagnosis[0]


@pytest.mark.parametrize(
    ("faulty", "advice"),
    [
        (with_one_changed(1, eval_loss=None), 'set label_names=["labels"]'),
        (with_one_changed(1, token_accuracy=None), "ask for logits"),
        (HEALTHY[1:], "eval_on_start=True"),
    ],
)
def test_advice_names_the_argument_and_no_other(faulty: list[Evaluation], advice: str) -> None:
    (given,) = judge(make_record(evaluations=faulty), Context()).advice

    assert advice in given


def test_nan_evaluation_gets_the_diagnosis_of_its_training() -> None:
    record = make_record(evaluations=with_one_changed(1, eval_loss=NAN), steps={"loss": 0.0})
    verdict = judge(record, Context())

    assert "logging_nan_inf_filter" in verdict.diagnosis[0]
    assert verdict.advice


@pytest.mark.parametrize("accuracy", [0.0, 1.0])
def test_accuracy_bounds_are_inclusive(accuracy: float) -> None:
    record = make_record(evaluations=evaluations(*EVAL_LOSSES, token_accuracy=accuracy))

    assert judge(record, Context()).outcome is Outcome.PASS
