import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.checks import Context
from harness.checks.eval_loss_moves import judge, relative_drop
from harness.verdict import Outcome
from tests.unit.frozen import BEYOND, FLOAT16, FROZEN, OVERFLOWING, STILL
from tests.unit.records import EVAL_LOSSES, NAN, STEPS, evaluations, make_record

FAULTS: dict[str, tuple[dict[str, Any], str, str]] = {
    # name: (changes, part of the message, part of the first cause)
    "float16 overflow (U#2032)": (OVERFLOWING, "frozen: eval_loss is 6.9392", "layers.2"),
    "learning rate zero (U#2084)": (
        {"evaluations": FROZEN, "adapter": STILL, "steps": {"learning_rate": 0.0}},
        "frozen",
        "learning rate is 0 on all 30 steps",
    ),
    "NaN gradients with bfloat16 (U#2153)": (
        {
            "evaluations": FROZEN,
            "adapter": STILL,
            "steps": {"grad_norm": NAN, "applied": False},
            "precision": {"autocast": "bfloat16", "max_abs_activation": BEYOND},
        },
        "frozen",
        "grad_norm is not finite on 30 of 30 steps (first: step 1), without float16",
    ),
    "steps skipped in silence (Z#866)": (
        {
            "evaluations": FROZEN,
            "adapter": STILL,
            "steps": {"applied": False},
            "scaler": {"enabled": True, "applied": 0, "skipped": STEPS},
        },
        "frozen",
        "GradScaler skipped 30 of 30 steps",
    ),
    "steps not applied without a scaler": (
        {"evaluations": FROZEN, "adapter": STILL, "steps": {"applied": False}},
        "frozen",
        "the optimizer changed nothing on 30 of 30 steps",
    ),
    "frozen adapter (U#3089)": (
        {"evaluations": FROZEN, "adapter": STILL},
        "frozen",
        "frozen adapter: 0 of 42",
    ),
    "nothing trainable": (
        {"evaluations": FROZEN, "adapter": {**STILL, "trainable_parameters": 0}},
        "frozen",
        "nothing trains",
    ),
    "evaluation cached": ({"evaluations": FROZEN}, "frozen", "does not depend on the trained"),
    "NaN evaluation": (
        {
            "evaluations": [NAN] * 4,
            "adapter": {**STILL, "finite": False},
            "precision": {**FLOAT16, "max_abs_activation": {"layers.0": 9.0, "layers.1": NAN}},
            "steps": {"loss": NAN, "grad_norm": NAN},
        },
        "no number from epoch 0 on: nan nan nan nan",
        "layers.1",
    ),
    "NaN from the second epoch on": (
        {"evaluations": [6.7, 4.7, NAN, NAN], "steps": {"loss": 0.0}},
        "no number from epoch 2 on",
        "logging_nan_inf_filter",
    ),
    "missing eval_loss": ({"evaluations": [6.7, None, 4.3, 4.2]}, "no number from epoch 1", ""),
    "frozen after the first epoch": (
        {"evaluations": [6.74, 4.73, 4.73, 4.73]},
        "frozen after the first epoch: eval_loss stays 4.73",
        "does not depend",
    ),
    "one epoch without effect": (
        {"evaluations": [6.74, 4.73, 4.73, 4.27]},
        "epoch 2 changed nothing",
        "does not depend",
    ),
    "too small a drop": (
        {"evaluations": [6.74, 6.73, 6.72, 6.71]},
        "moves, but too little: it falls by 0.45% where the recipe expects at least 5 %",
        "does not carry over",
    ),
    "too small a drop, training stands too": (
        {"evaluations": [6.74, 6.73, 6.72, 6.71], "steps": {"loss": 6.7}},
        "too little",
        "training does not learn either",
    ),
    "rising": ({"evaluations": [4.0, 4.1, 4.2, 4.3]}, "rises instead of falling", ""),
    "saturated without NaN on an emulated T4": (
        {
            "evaluations": [4.03, 4.02, 4.01, 4.0],
            "precision": {"weights": {"float16": 43}, "max_abs_activation": BEYOND},
        },
        "too little",
        "saturates at 65504",
    ),
    "no evaluation": ({"evaluations": []}, "0 evaluation(s) took place", ""),
}


def test_falling_eval_loss_passes() -> None:
    verdict = judge(make_record(), Context())

    assert verdict.outcome is Outcome.PASS
    assert verdict.evidence["relative_drop"] == pytest.approx((6.74 - 4.27) / 6.74)
    assert not verdict.diagnosis


@pytest.mark.parametrize("name", FAULTS)
def test_fault_fails_with_its_message_and_first_cause(name: str) -> None:
    changes, message, cause = FAULTS[name]
    verdict = judge(make_record(**changes), Context())

    assert verdict.outcome is Outcome.FAIL
    assert message in verdict.message
    assert not cause or cause in verdict.diagnosis[0]
    assert cause == "" or verdict.advice


def test_repeated_loss_rounded_by_a_release_passes_when_the_token_loss_moves() -> None:
    rounded = evaluations(6.75, 4.75, 4.75, 4.25)
    rounded[2].token_loss = 4.7391

    assert judge(make_record(evaluations=rounded), Context()).outcome is Outcome.PASS


def test_epoch_at_learning_rate_zero_may_stand_still() -> None:
    rates = [1e-3] * 20 + [0.0] * 10
    record = make_record(evaluations=[6.74, 4.73, 4.4, 4.4], steps={"learning_rate": rates})

    assert judge(record, Context()).outcome is Outcome.PASS


def test_epoch_whose_steps_were_all_skipped_may_not_stand_still() -> None:
    rates, applied = [0.0] * 10 + [1e-3] * 20, [False] * 10 + [True] * 20
    record = make_record(
        evaluations=[6.74, 6.74, 4.73, 4.38], steps={"learning_rate": rates, "applied": applied}
    )

    assert "epoch 1 changed nothing" in judge(record, Context()).message


def test_recipe_with_learning_rate_zero_is_skipped() -> None:
    record = make_record(recipe={"learning_rate": 0.0}, evaluations=FROZEN)

    assert judge(record, Context()).outcome is Outcome.SKIPPED


def test_required_drop_is_the_recipes() -> None:
    record = make_record(recipe={"min_eval_loss_drop": 0.5})

    assert judge(record, Context()).outcome is Outcome.FAIL


losses = st.floats(min_value=0.0, max_value=1e6)


def outcome(series: list[float]) -> Outcome:
    return judge(make_record(evaluations=series), Context()).outcome


@given(losses, st.integers(2, 8))
def test_property_equal_losses_fail(loss: float, count: int) -> None:
    assert outcome([loss] * count) is Outcome.FAIL


@given(
    st.lists(losses, min_size=2, max_size=6), st.integers(0, 5), st.sampled_from([NAN, math.inf])
)
def test_property_any_non_finite_loss_fails(series: list[float], at: int, bad: float) -> None:
    series[at % len(series)] = bad

    assert outcome(series) is Outcome.FAIL


@given(st.lists(losses, min_size=2, max_size=6))
def test_property_pass_means_a_real_drop(series: list[float]) -> None:
    if outcome(series) is Outcome.PASS:
        assert series[-1] <= series[0] * 0.95 * (1 + 1e-12)


@given(st.permutations(EVAL_LOSSES))
def test_property_order_decides(series: list[float]) -> None:
    expected = Outcome.PASS if relative_drop(series) >= 0.05 else Outcome.FAIL

    assert outcome(series) is expected


def test_judging_leaves_the_record_alone() -> None:
    record = make_record(**OVERFLOWING)
    before = record.model_dump_json()
    judge(record, Context())

    assert record.model_dump_json() == before
