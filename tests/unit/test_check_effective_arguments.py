from typing import Any

import pytest

from harness.checks import Context
from harness.checks.effective_arguments import judge
from harness.record import Record
from harness.verdict import Outcome
from tests.unit.records import make_record, steps


def asked(requested: dict[str, Any], arguments: dict[str, Any], **changes: Any) -> Record:
    return make_record(executed={"requested": requested, "arguments": arguments}, **changes)


def test_arguments_in_effect_pass() -> None:
    assert judge(make_record(), Context()).outcome is Outcome.PASS


@pytest.mark.parametrize(
    ("name", "value", "now"),
    [
        ("report_to", "none", []),
        ("optim", "adamw_torch", "adamw_torch_fused"),
        ("warmup_steps", 2, 2.0),
        ("max_length", 128, None),
        # Unsloth and Gemma-3 on a GPU; the policy on it is `precision`'s.
        ("fp16", True, False),
    ],
)
def test_another_way_to_write_the_same_passes(name: str, value: Any, now: Any) -> None:
    assert judge(asked({name: value}, {name: now}), Context()).outcome is Outcome.PASS


@pytest.mark.parametrize(
    ("name", "value", "now"),
    [
        ("gradient_accumulation_steps", 1, 4),
        ("optim", "adamw_torch", "adamw_8bit"),
        ("report_to", "none", ["wandb"]),
        ("gradient_checkpointing", False, True),
    ],
)
def test_an_override_fails_and_names_both_values(name: str, value: Any, now: Any) -> None:
    verdict = judge(asked({name: value}, {name: now}), Context())

    assert verdict.outcome is Outcome.FAIL
    assert f"{name} is {now!r}, {value!r} was asked for" in verdict.message
    assert verdict.diagnosis == (f"the release overrides what was set: {name} (U#8261)",)


def test_an_argument_that_is_gone_fails() -> None:
    verdict = judge(asked({"data_seed": 1}, {"seed": 1}), Context())

    assert verdict.outcome is Outcome.FAIL
    assert "data_seed was asked for and is not there" in verdict.message


def test_another_number_of_steps_fails() -> None:
    verdict = judge(make_record(steps=steps(9)), Context())

    assert verdict.outcome is Outcome.FAIL
    assert "9 optimizer steps were taken, the recipe gives 30" in verdict.message


@pytest.mark.parametrize("taken", [6, 9])
def test_a_last_step_that_is_not_whole_may_be_left_out(taken: int) -> None:
    record = make_record(steps=steps(taken), recipe={"gradient_accumulation": 4})

    assert judge(record, Context()).outcome is Outcome.PASS


def test_an_old_record_is_skipped() -> None:
    assert judge(asked({}, {"seed": 1}), Context()).outcome is Outcome.SKIPPED
