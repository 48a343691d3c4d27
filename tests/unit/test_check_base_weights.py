import pytest

from harness.checks import Context
from harness.checks._diagnosis import TEXT_ONLY
from harness.checks.base_weights import judge
from harness.checks.training_applied import judge as training_applied
from harness.verdict import Outcome
from tests.unit.records import make_record

MULTIMODAL = {"frozen": {"language": 80, "vision": 39}, "checkpoint_tensors": 119, "equal": 119}


def test_frozen_checkpoint_passes() -> None:
    verdict = judge(make_record(base_weights=MULTIMODAL), Context())

    assert verdict.outcome is Outcome.PASS
    assert "80 language and 39 vision tensors" in verdict.message


def test_packed_tensors_are_not_called_equal() -> None:
    weights = {"equal": 38, "quantised": 42}
    verdict = judge(make_record(base_weights=weights), Context())

    assert verdict.outcome is Outcome.PASS
    assert "38 have the checkpoint's values, 42 are packed and not compared" in verdict.message


@pytest.mark.parametrize(
    ("field", "says"),
    [
        ("differing", "other values than the checkpoint's: a and 1 more"),
        ("not_in_checkpoint", "in the model and not in the checkpoint: a and 1 more"),
        ("not_loaded", "in the checkpoint and not in the model: a and 1 more"),
        ("changed", "frozen, and yet changed by training: a and 1 more"),
    ],
)
def test_tensor_that_is_not_the_checkpoints_fails(field: str, says: str) -> None:
    verdict = judge(make_record(base_weights={field: ["a", "b"]}), Context())

    assert verdict.outcome is Outcome.FAIL
    assert verdict.diagnosis
    assert verdict.advice
    assert says in verdict.message


def test_adapter_on_the_vision_tower_fails_and_explains_what_stands_still() -> None:
    record = make_record(
        base_weights={**MULTIMODAL, "trainable": {"language": 84, "vision": 12}},
        adapter={"lora_b_tensors": 48, "lora_b_moved": 42},
    )
    verdict, applied = judge(record, Context()), training_applied(record, Context())

    assert verdict.outcome is Outcome.FAIL
    assert "12 trainable tensors are in the vision tower" in verdict.message
    assert applied.diagnosis == (
        "12 trainable tensors are in the vision tower, which rows of text never reach",
    )
    assert verdict.advice == applied.advice == (TEXT_ONLY,)


def test_checkpoint_without_safetensors_is_no_pass() -> None:
    weights = {"checkpoint_tensors": 0, "equal": 0}

    assert judge(make_record(base_weights=weights), Context()).outcome is Outcome.SKIPPED


def test_change_is_seen_without_safetensors_too() -> None:
    weights = {"checkpoint_tensors": 0, "equal": 0, "changed": ["a"]}

    assert judge(make_record(base_weights=weights), Context()).outcome is Outcome.FAIL


def test_record_without_the_evidence_is_skipped() -> None:
    assert judge(make_record(base_weights=None), Context()).outcome is Outcome.SKIPPED
