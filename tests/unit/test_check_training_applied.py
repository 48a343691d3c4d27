import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.checks import Context
from harness.checks._scaler import (
    MAX_CALIBRATING_SKIPS,
    SCALER_GROWTH_INTERVAL,
    calibrating_skips,
)
from harness.checks.training_applied import judge
from harness.record import Record
from harness.verdict import Outcome
from tests.unit.records import NAN, STEPS, make_record, steps

SCALED = {"enabled": True, "scale_first": 65536.0, "scale_last": 2048.0}


def at(step: int, value: Any, healthy: Any = 1.0) -> list[Any]:
    return [value if number == step else healthy for number in range(1, STEPS + 1)]


def skipping(leading: int, **changes: Any) -> Record:
    applied = [False] * leading + [True] * (STEPS - leading)
    norms = [math.inf] * leading + [1.0] * (STEPS - leading)
    return make_record(
        steps={"applied": applied, "grad_norm": norms},
        scaler={**SCALED, "applied": STEPS - leading, "skipped": leading},
        **changes,
    )


FAULTS: dict[str, tuple[dict[str, Any], str]] = {
    "adapter bit for bit the same": (
        {"adapter": {"digest_after": "bbbbbbbbbbbb", "lora_b_moved": 0}},
        "bit for bit what it was",
    ),
    "only lora_A moved (U#3089)": ({"adapter": {"lora_b_moved": 0}}, "only 0 of 42 lora_B"),
    "one lora_B did not move": ({"adapter": {"lora_b_moved": 41}}, "only 41 of 42 lora_B"),
    "no lora_B": ({"adapter": {"lora_b_tensors": 0, "lora_b_moved": 0}}, "no lora_B tensor"),
    "NaN adapter": ({"adapter": {"finite": False}}, "holds NaN or infinity"),
    "no adapter evidence": ({"adapter": None}, "says nothing of the adapter"),
    "no steps": ({"steps": []}, "no optimizer step was logged"),
    "NaN grad_norm once (Z#866)": (
        {"steps": {"grad_norm": at(12, NAN)}},
        "grad_norm is no number on 1 of 30 steps (first: step 12)",
    ),
    "infinite grad_norm": ({"steps": {"grad_norm": math.inf}}, "grad_norm is no number on 30"),
    "gradients that round to 0": (
        {"steps": {"grad_norm": at(4, 0.0)}},
        "grad_norm is exactly 0 on 1 of 30 steps (first: step 4)",
    ),
    "NaN loss": ({"steps": {"loss": at(7, NAN)}}, "loss is NaN, inf or 0 on 1 of 30"),
    "loss exactly 0 (U#2040)": ({"steps": {"loss": at(30, 0.0)}}, "(first: step 30)"),
    "NaN that the log hides": (
        {"steps": {"loss": at(9, 0.0), "raw_loss": at(9, NAN)}},
        "loss is NaN, inf or 0 on 1 of 30 steps (first: step 9)",
    ),
    "loss missing": ({"steps": {"loss": at(3, None)}}, "loss is missing on 1"),
    "grad_norm missing": ({"steps": {"grad_norm": None}}, "grad_norm is missing on 30"),
    "applied unknown": ({"steps": {"applied": None}}, "nobody saw whether it applied"),
    "one update skipped without a scaler": (
        {"steps": {"applied": at(1, False, healthy=True)}},
        "the update was not applied on 1 of 30",
    ),
    "learning rate zero (U#2084)": (
        {"steps": {"learning_rate": 0.0}},
        "learning_rate is not above 0 on 29 of 30 steps (first: step 2)",
    ),
    "learning rate zero in the middle": (
        {"steps": {"learning_rate": at(15, 0.0)}},
        "learning_rate is not above 0 on 1",
    ),
    "learning rate NaN": ({"steps": {"learning_rate": NAN}}, "learning_rate is not above 0"),
    "learning rate negative": ({"steps": {"learning_rate": -1e-3}}, "learning_rate is not above"),
}


def test_healthy_training_passes() -> None:
    verdict = judge(make_record(), Context())

    assert verdict.outcome is Outcome.PASS
    assert "42 of 42 lora_B tensors moved" in verdict.message
    assert verdict.evidence["share_applied"] == 1.0


@pytest.mark.parametrize("name", FAULTS)
def test_fault_fails_and_is_named(name: str) -> None:
    changes, message = FAULTS[name]
    verdict = judge(make_record(**changes), Context())

    assert verdict.outcome is Outcome.FAIL
    assert message in verdict.message


def test_zero_loss_is_explained_as_filtered_nan() -> None:
    hidden = make_record(steps={"loss": 0.0, "grad_norm": NAN})
    unlabelled = make_record(steps={"loss": 0.0, "grad_norm": 0.0})

    assert any("logging_nan_inf_filter" in c for c in judge(hidden, Context()).diagnosis)
    assert not any("U#2117" in c for c in judge(hidden, Context()).diagnosis)
    assert any("U#2117" in c for c in judge(unlabelled, Context()).diagnosis)


@pytest.mark.parametrize("leading", range(1, MAX_CALIBRATING_SKIPS + 1))
def test_scaler_may_skip_leading_steps(leading: int) -> None:
    verdict = judge(skipping(leading), Context())

    assert verdict.outcome is Outcome.PASS
    assert f"{leading} calibrating skips" in verdict.message
    assert verdict.evidence["share_applied"] < 1


def test_scaler_may_not_skip_more() -> None:
    assert judge(skipping(MAX_CALIBRATING_SKIPS + 1), Context()).outcome is Outcome.FAIL


def test_all_steps_skipped_fails() -> None:
    verdict = judge(skipping(STEPS), Context())

    assert verdict.outcome is Outcome.FAIL
    assert "GradScaler skipped 30 of 30" in " ".join(verdict.diagnosis)


def test_scaler_may_not_skip_in_the_middle() -> None:
    record = make_record(
        steps={"applied": at(12, False, healthy=True), "grad_norm": at(12, math.inf)},
        scaler={**SCALED, "skipped": 1},
    )

    assert judge(record, Context()).outcome is Outcome.FAIL


def test_disabled_scaler_excuses_nothing() -> None:
    record = skipping(1)
    assert record.scaler is not None
    record.scaler.enabled = False

    assert judge(record, Context()).outcome is Outcome.FAIL


def test_scaler_may_skip_once_after_it_grows() -> None:
    count = SCALER_GROWTH_INTERVAL + 20
    skipped = {SCALER_GROWTH_INTERVAL + 5, SCALER_GROWTH_INTERVAL + 9}
    applied = [number not in skipped for number in range(1, count + 1)]
    norms = [math.inf if number in skipped else 1.0 for number in range(1, count + 1)]
    record = make_record(steps=steps(count, applied=applied, grad_norm=norms), scaler=SCALED)

    assert calibrating_skips(record) == {SCALER_GROWTH_INTERVAL + 5}


def test_recipe_without_clipping_need_not_log_grad_norm() -> None:
    record = make_record(recipe={"max_grad_norm": 0.0}, steps={"grad_norm": None})

    assert judge(record, Context()).outcome is Outcome.PASS


def test_learning_rate_zero_passes_on_the_first_step_of_a_warm_up_only() -> None:
    first = {"steps": {"learning_rate": at(1, 0.0)}}
    last = {"steps": {"learning_rate": at(STEPS, 0.0)}}

    assert judge(make_record(**first), Context()).outcome is Outcome.PASS
    assert judge(make_record(**last), Context()).outcome is Outcome.FAIL
    cold = make_record(recipe={"warmup_steps": 0}, **first)
    assert judge(cold, Context()).outcome is Outcome.FAIL


def test_small_loss_that_the_log_rounds_to_zero_is_a_loss() -> None:
    record = make_record(steps={"loss": at(25, 0.0), "raw_loss": at(25, 3e-5)})

    assert judge(record, Context()).outcome is Outcome.PASS


def test_warm_up_step_at_learning_rate_zero_does_not_end_the_calibration() -> None:
    norms = [1.0, math.inf, math.inf] + [1.0] * 27
    applied = [None, False, False] + [True] * 27
    record = make_record(steps={"grad_norm": norms, "applied": applied}, scaler=SCALED)

    assert calibrating_skips(record) == {2, 3}
    assert judge(record, Context()).outcome is Outcome.PASS


def waiting(skipped: int, at_zero: int) -> Record:
    """Return a run whose scheduler stays at rate 0 for `at_zero` steps, `skipped` of them skipped."""
    return make_record(
        scaler=SCALED,
        steps={
            "learning_rate": [0.0] * at_zero + [1e-3] * (STEPS - at_zero),
            "applied": [False] * skipped
            + [None] * (at_zero - skipped)
            + [True] * (STEPS - at_zero),
            "grad_norm": [math.inf] * skipped + [1.0] * (STEPS - skipped),
        },
    )


def test_scheduler_may_wait_at_zero_until_the_first_step_is_taken() -> None:
    assert judge(waiting(3, at_zero=4), Context()).outcome is Outcome.PASS
    assert judge(waiting(3, at_zero=5), Context()).outcome is Outcome.FAIL


def test_step_taken_at_rate_zero_with_infinite_gradients_is_not_excused() -> None:
    record = make_record(steps={"grad_norm": at(1, math.inf)}, scaler=SCALED)

    assert judge(record, Context()).outcome is Outcome.FAIL


def test_scaler_does_not_excuse_a_skip_with_finite_gradients() -> None:
    record = make_record(steps={"applied": at(2, False, healthy=True)}, scaler=SCALED)

    assert calibrating_skips(record) == set()
    assert judge(record, Context()).outcome is Outcome.FAIL


def test_recipe_with_learning_rate_zero_is_skipped_with_a_reason() -> None:
    verdict = judge(make_record(recipe={"learning_rate": 0.0}), Context())

    assert verdict.outcome is Outcome.SKIPPED
    assert "learning rate 0" in verdict.message


@given(
    st.integers(1, STEPS), st.sampled_from(["loss", "grad_norm"]), st.sampled_from([NAN, math.inf])
)
def test_property_a_single_bad_number_fails_without_a_scaler(
    step: int, field: str, bad: float
) -> None:
    record = make_record(steps={field: at(step, bad)})

    assert judge(record, Context()).outcome is Outcome.FAIL


def test_lora_b_that_does_not_train_is_counted_and_named() -> None:
    record = make_record(adapter={"lora_b_moved": 21, "lora_b_frozen": 21})
    verdict = judge(record, Context())

    assert verdict.outcome is Outcome.FAIL
    assert "only 21 of 42 lora_B" in verdict.message
    assert any("they lost requires_grad" in cause for cause in verdict.diagnosis)
