import math
from typing import Any

import pytest

from harness.checks import Context
from harness.checks.eval_loss_moves import judge
from harness.hardware import load_profiles
from tests.unit.frozen import BEYOND, FLOAT16, FROZEN, OVERFLOWING, STILL
from tests.unit.records import EVAL_LOSSES, NAN, evaluations, make_record


def test_overflow_diagnosis_names_layer_then_mechanism_and_cards_with_bf16() -> None:
    verdict = judge(make_record(**OVERFLOWING), Context())

    assert [word in text for word, text in zip(
        ("float16 overflow: |activation| is 8e+05 in layers.2", "grad_norm", "exactly 0",
         "GradScaler skipped 30 of 30 steps (scale 6.554e+04 -> 6.1e-05)"),
        verdict.diagnosis, strict=True)] == [True] * 4  # fmt: skip
    named = set(verdict.advice[0].split(": ")[1].split(", "))
    assert {"a100", "l4", "h100"} <= named
    assert named == {s for s, p in load_profiles().items() if p.bf16}
    assert "float32" in verdict.advice[1]


def test_gradients_that_round_to_zero_are_an_underflow_not_a_skip() -> None:
    record = make_record(
        evaluations=FROZEN,
        adapter=STILL,
        precision={"weights": {"float16": 43}, "max_abs_activation": BEYOND},
        steps={
            "grad_norm": 0.0,
            "applied": [None] + [False] * 29,
            "learning_rate": [0.0] + [1e-3] * 29,
        },
    )
    (cause, saturated) = judge(record, Context()).diagnosis
    assert "grad_norm is exactly 0 on 30 of 30 steps" in cause
    assert "no GradScaler, where what is below 3e-8 rounds to 0" in cause
    assert "8e+05 in layers.2" in cause
    assert "saturates" in saturated
    assert "a100" in judge(record, Context()).advice[0]


def test_a_loss_that_no_parameter_reaches_is_no_underflow() -> None:
    record = make_record(evaluations=FROZEN, adapter=STILL, steps={"grad_norm": 0.0})
    (cause,) = judge(record, Context()).diagnosis
    assert (
        cause == "grad_norm is exactly 0 on 30 of 30 steps (first: step 1) although the loss is not"
    )


def test_detached_evaluation_says_whether_the_logits_moved() -> None:
    cached = evaluations(*FROZEN)
    for evaluation, loss in zip(cached, EVAL_LOSSES, strict=True):
        evaluation.token_loss = loss

    assert "cached" in judge(make_record(evaluations=cached), Context()).diagnosis[0]
    assert "another model" in judge(make_record(evaluations=FROZEN), Context()).diagnosis[0]


def test_calibrating_skips_are_no_cause() -> None:
    record = make_record(
        evaluations=[6.74, 6.73, 6.72, 6.71],
        scaler={"enabled": True, "applied": 28, "skipped": 2},
        steps={"applied": [False] * 2 + [True] * 28, "grad_norm": [math.inf] * 2 + [1.0] * 28},
    )

    assert not any("skipped" in cause for cause in judge(record, Context()).diagnosis)


@pytest.mark.parametrize(("largest", "overflows"), [(65503.0, False), (65504.0, True)])
def test_overflow_starts_where_float16_ends(largest: float, *, overflows: bool) -> None:
    layers = {"layers.0": None, "layers.1": largest}
    record = make_record(evaluations=FROZEN, precision={**FLOAT16, "max_abs_activation": layers})

    causes = judge(record, Context()).diagnosis
    assert any("float16 overflow" in cause for cause in causes) == overflows


def test_broken_adapter_and_openly_logged_nan_are_named_as_such() -> None:
    record = make_record(evaluations=[NAN] * 4, steps={"loss": NAN}, adapter={"finite": False})
    causes = " ".join(judge(record, Context()).diagnosis)

    assert "the adapter itself holds NaN" in causes
    assert "the training loss is no number on 30 of 30 steps" in causes
    assert "logging_nan_inf_filter" not in causes


def test_nan_gradients_say_whether_float16_was_used_and_what_to_do() -> None:
    half = make_record(evaluations=FROZEN, precision=FLOAT16, steps={"grad_norm": NAN})
    full = make_record(evaluations=FROZEN, steps={"grad_norm": NAN})

    assert "under float16 autocast and activations" in judge(half, Context()).diagnosis[0]
    assert "a100" in judge(half, Context()).advice[0]
    assert "without float16" in judge(full, Context()).diagnosis[0]
    assert "first operation that returns NaN" in judge(full, Context()).advice[0]


@pytest.mark.parametrize(
    "broken", [{"grad_norm": NAN}, {"loss": NAN}, {"applied": False}, {"learning_rate": 0.0}]
)
def test_adapter_that_no_step_should_move_is_not_called_frozen(broken: dict[str, Any]) -> None:
    record = make_record(evaluations=FROZEN, adapter=STILL, steps=broken)

    assert not any("frozen adapter" in cause for cause in judge(record, Context()).diagnosis)


@pytest.mark.parametrize(
    "changes", [{"steps": {"loss": 6.7}}, {"adapter": {"lora_b_moved": 0}}, {"adapter": STILL}]
)
def test_evaluation_is_blamed_only_when_training_moved(changes: dict[str, Any]) -> None:
    causes = judge(make_record(evaluations=FROZEN, **changes), Context()).diagnosis

    assert not any("does not depend on the trained" in cause for cause in causes)


def test_missing_token_losses_do_not_speak_for_a_cached_figure() -> None:
    record = make_record(evaluations=evaluations(*FROZEN, token_loss=None))

    assert "another model" in judge(record, Context()).diagnosis[0]


def test_large_activations_are_no_cause_where_float16_is_not_used() -> None:
    record = make_record(
        evaluations=FROZEN, precision={"autocast": "bfloat16", "max_abs_activation": BEYOND}
    )

    assert not any("float16" in cause for cause in judge(record, Context()).diagnosis)


def test_a_rate_below_the_one_asked_for_is_named() -> None:
    record = make_record(evaluations=(6.74, 6.70, 6.68, 6.66), steps={"learning_rate": 5e-5})
    (cause,) = judge(record, Context()).diagnosis
    assert cause == "the learning rate never exceeds 5e-05, the recipe asks for 0.001"


def test_an_adapter_that_moves_in_part_is_named() -> None:
    record = make_record(evaluations=(6.74, 6.70, 6.68, 6.66), adapter={"lora_b_moved": 21})
    (cause,) = judge(record, Context()).diagnosis
    assert "the optimizer owns only part of the LoRA parameters" in cause
