import pytest

from harness.checks import Context
from harness.checks.completed import judge
from harness.record import Failure, Record
from harness.verdict import Outcome
from tests.unit.records import evaluations, make_record, steps


def failed(status: str, kind: str, message: str, phase: str = "train", **changes: object) -> Record:
    failure = Failure(phase=phase, kind=kind, message=message)
    return make_record(status=status, failure=failure, **changes)


def test_completed_run_passes() -> None:
    verdict = judge(make_record(), Context())

    assert verdict.outcome is Outcome.PASS
    assert "30 steps" in verdict.message
    assert not verdict.diagnosis


@pytest.mark.parametrize("status", ["CRASHED", "OOM", "TIMEOUT", "INFRA"])
def test_unfinished_run_keeps_its_own_outcome_phase_kind_and_message(status: str) -> None:
    verdict = judge(failed(status, "SomeKind", "what it said", phase="generate"), Context())

    assert verdict.outcome is Outcome(status)
    for part in (status, "generate", "SomeKind", "what it said"):
        assert part in verdict.message
    assert verdict.advice
    assert bool(verdict.diagnosis) == verdict.outcome.is_red
    assert verdict.evidence["failure"]["kind"] == "SomeKind"


def test_unfinished_run_without_failure_is_still_red() -> None:
    verdict = judge(make_record(status="CRASHED"), Context())

    assert verdict.outcome is Outcome.CRASHED
    assert "nothing was recorded" in verdict.message


def test_completed_run_that_also_reports_a_failure_fails() -> None:
    verdict = judge(failed("COMPLETED", "OSError", "no space", phase="save"), Context())

    assert verdict.outcome is Outcome.FAIL
    assert "contradicts" in verdict.diagnosis[0]


@pytest.mark.parametrize(
    ("phase", "kind", "message", "diagnosis"),
    [
        ("import", "AttributeError", "no attribute 'HybridCache'", "does not import"),
        ("load", "ModuleNotFoundError", "No module named 'triton'", "does not import"),
        ("train", "RuntimeError", "expected m1 and m2 to be Half, got float", "different dtype"),
        ("train", "ValueError", "`token_type_ids` is required", "token_type_ids"),
        ("load", "RuntimeError", "odd", "before the first optimizer step"),
    ],
)
def test_crash_class_is_diagnosed(phase: str, kind: str, message: str, diagnosis: str) -> None:
    record = failed("CRASHED", kind, message, phase=phase, steps=[], evaluations=[])

    assert diagnosis in judge(record, Context()).diagnosis[0]


def test_out_of_memory_advice_names_what_the_recipe_has_not_tried() -> None:
    record = failed("OOM", "OutOfMemoryError", "tried to allocate 2 GiB", steps=[], evaluations=[])
    advice = " ".join(judge(record, Context()).advice)

    for part in ("batch_size (4)", "gradient checkpointing", "nf4", "max_seq_length is 128"):
        assert part in advice

    saving = make_record(status="OOM", dtype_request="nf4", recipe={"gradient_checkpointing": True})
    advice = " ".join(judge(saving, Context()).advice)
    assert "nf4" not in advice
    assert "gradient checkpointing" not in advice


def test_out_of_memory_at_an_evaluation_points_to_full_logits() -> None:
    at_evaluation = make_record(status="OOM", steps=steps(10), evaluations=evaluations(6.7))
    in_training = make_record(status="OOM", steps=steps(10), evaluations=evaluations(6.7, 4.7))

    assert "full logits" in judge(at_evaluation, Context()).diagnosis[0]
    assert "full logits" not in judge(in_training, Context()).diagnosis[0]


def test_out_of_memory_before_training_says_so() -> None:
    before = make_record(status="OOM", steps=[], evaluations=[])
    after_evaluation = make_record(status="OOM", steps=[], evaluations=evaluations(6.7))

    assert "before the first evaluation" in judge(before, Context()).diagnosis[0]
    assert "after step 0" in judge(after_evaluation, Context()).diagnosis[0]


def test_import_failure_advice_is_to_pin_the_package() -> None:
    importing = failed("CRASHED", "ImportError", "cannot import name", phase="import")
    training = failed("CRASHED", "ValueError", "odd")

    assert "pin the package" in judge(importing, Context()).advice[0]
    assert "traceback" in judge(training, Context()).advice[0]


def test_timeout_advice_names_the_option() -> None:
    assert "--timeout" in judge(failed("TIMEOUT", "limit", "900 s"), Context()).advice[0]
