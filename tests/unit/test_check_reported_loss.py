import math
from typing import Any

import pytest

from harness.checks import Context
from harness.checks.reported_loss import judge
from harness.record import BatchLoss, Probe, Record
from harness.verdict import Outcome
from tests.unit.records import NAN, batches, evaluations, make_record, steps
from tests.unit.tolerances import allow

RAGGED = [
    BatchLoss(loss=60.0, tokens=10, labels=14, rows=4),
    BatchLoss(loss=240.0, tokens=60, labels=64, rows=4),
]
"""Means 6 and 4; over all tokens 300 / 70."""


@pytest.fixture(autouse=True)
def _measured(monkeypatch: pytest.MonkeyPatch) -> None:
    allow(monkeypatch, "reported_loss", "loss of step 1")
    allow(monkeypatch, "reported_loss", "eval_loss")


def first(reported: float, made_of: list[BatchLoss], **probe: Any) -> Record:
    losses = [reported] + [4.0] * 29
    return make_record(
        steps=steps(loss=losses, raw_loss=losses), probe=Probe(first_step=made_of, **probe)
    )


def test_losses_of_their_tokens_pass() -> None:
    verdict = judge(make_record(), Context())

    assert verdict.outcome is Outcome.PASS
    assert "every eval_loss is that of its batches" in verdict.message


def test_ragged_micro_batches_are_one_mean_over_tokens() -> None:
    assert judge(first(300 / 70, RAGGED), Context()).outcome is Outcome.PASS


@pytest.mark.parametrize(
    ("reported", "cause"),
    [
        (5.0, "HF#34191"),
        (300 / 70 / 2, "2 micro-batches once too often (U#4982"),
        (300 / 70 * 2, "are added up"),
        (300 / 78, "78, the labels before the shift, and 70 are predicted (HF#46204)"),
        (300 / 128, "128, all tokens, and 70 count (Z#1066)"),
        (300 / 99, "num_items_in_batch = 99"),
        (1.5, "labels that are not shifted (U#2933"),
    ],
)
def test_another_loss_of_step_1_fails_and_its_arithmetic_is_named(
    reported: float, cause: str
) -> None:
    record = first(reported, RAGGED, items=99.0)
    record.steps[0].tokens = 128
    verdict = judge(record, Context())

    assert verdict.outcome is Outcome.FAIL
    assert "the mean cross-entropy of its 70 tokens is 4.2857" in verdict.message
    assert cause in verdict.diagnosis[0]


@pytest.mark.parametrize(
    ("loss", "outcome"),
    [(5.0, Outcome.PASS), (300 / 70, Outcome.PASS), (4.5, Outcome.FAIL)],
)
def test_an_eval_loss_is_the_mean_of_batches_or_of_tokens(loss: float, outcome: Outcome) -> None:
    record = make_record(evaluations=evaluations(loss, loss, loss, loss, batches=RAGGED))

    assert judge(record, Context()).outcome is outcome


@pytest.mark.parametrize(
    ("loss", "cause"),
    [
        ((60 / 14 + 240 / 64) / 2, "labels before the shift"),
        (5.0 / 4, "(U#1711)"),
        (7.7, "smoothing"),
    ],
)
def test_another_eval_loss_fails_and_its_arithmetic_is_named(loss: float, cause: str) -> None:
    record = make_record(evaluations=evaluations(loss, loss, loss, loss, batches=RAGGED))
    verdict = judge(record, Context())

    assert verdict.outcome is Outcome.FAIL
    assert "4 of 4 eval_loss are not those of their batches" in verdict.message
    assert cause in verdict.diagnosis[0]


def test_a_dtype_without_tolerance_is_uncalibrated_and_says_how_far() -> None:
    record = make_record(precision={"autocast": "bfloat16"}, probe=Probe(first_step=batches(6, 9)))
    verdict = judge(record, Context())

    assert verdict.outcome is Outcome.UNCALIBRATED
    assert (
        "no tolerance was measured in bfloat16: loss of step 1 deviates by 0.12" in verdict.message
    )


def test_an_old_record_is_skipped() -> None:
    record = make_record(probe=None, evaluations=evaluations(6.7, 5.0, 4.5, 4.2, batches=[]))
    verdict = judge(record, Context())

    assert verdict.outcome is Outcome.SKIPPED
    assert "run the cell again" in verdict.message


def test_evaluations_are_judged_where_the_model_gave_no_losses_apart() -> None:
    verdict = judge(make_record(probe=Probe(problem="RuntimeError: no logits")), Context())

    assert verdict.outcome is Outcome.PASS
    assert "RuntimeError: no logits" in verdict.message


@pytest.mark.parametrize("loss", [0.0, NAN, math.inf])
def test_losses_that_are_no_numbers_are_for_other_checks(loss: float) -> None:
    record = make_record(
        steps={"loss": loss, "raw_loss": loss},
        evaluations=evaluations(NAN, NAN, NAN, NAN, batches=RAGGED),
    )

    assert judge(record, Context()).outcome is Outcome.SKIPPED
