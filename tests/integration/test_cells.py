"""Each check on a real run: a clean one that passes, and a fault that makes it fail."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from harness.figures import start_up_figures
from harness.gate import CellResult
from harness.verdict import Outcome
from tests.integration.conftest import Judge

UNSLOTH = "unsloth-2026.10.9/cpu/float32/mild"
REFERENCE = "reference-2026.10.9/cpu/float32/mild"

# Fault -> the checks that must see it, and what the diagnosis must say.
FAULTS = {
    "frozen_adapter": ({"eval_loss_moves", "training_applied"}, "the optimizer changed nothing"),
    "zero_learning_rate": ({"eval_loss_moves", "training_applied"}, "learning rate is 0"),
    "constant_evaluation": ({"eval_loss_moves"}, "does not depend on the trained weights"),
    "silent_bfloat16": ({"precision"}, ""),
    "partly_owned_adapter": ({"training_applied"}, "owns only part of the LoRA parameters"),
    "no_label_names": ({"evaluation_complete"}, "label_names is empty"),
    "eval_loss_by_rows": ({"reported_loss"}, "divided by its rows once more"),
    "other_scaling_in_evaluation": ({"train_eval_mode"}, "something else than what was trained"),
    "evaluates_training_rows": ({"training_data"}, "share rows"),
    "unasked_accumulation": ({"effective_arguments"}, "gradient_accumulation_steps"),
    "sees_the_future": ({"label_leak"}, "mask is not causal"),
    "leaks_memory": ({"memory_growth"}, "keeps tensors or the graph"),
    "partly_frozen_adapter": ({"training_applied"}, "they lost requires_grad"),
}

pytestmark = pytest.mark.trains


def outcomes(cell: CellResult) -> dict[str, Outcome]:
    return {verdict.check: verdict.outcome for verdict in cell.verdicts}


@pytest.fixture(scope="session")
def clean(judge: Judge) -> dict[str, CellResult]:
    with ThreadPoolExecutor(2) as pool:
        return dict(zip((UNSLOTH, REFERENCE), pool.map(judge, (UNSLOTH, REFERENCE)), strict=True))


@pytest.fixture(scope="session")
def faulty(judge: Judge) -> dict[str, CellResult]:
    with ThreadPoolExecutor(2) as pool:
        return dict(
            zip(FAULTS, pool.map(lambda fault: judge(REFERENCE, fault), FAULTS), strict=True)
        )


@pytest.mark.parametrize("cell_id", [UNSLOTH, REFERENCE])
def test_clean_run_passes(clean: dict[str, CellResult], cell_id: str) -> None:
    cell = clean[cell_id]
    red = [v.message for v in cell.verdicts if v.outcome.is_red]
    assert red == []
    assert cell.outcome is Outcome.PASS


def test_second_run_is_bitwise_equal(clean: dict[str, CellResult]) -> None:
    assert outcomes(clean[UNSLOTH])["determinism"] is Outcome.PASS


def test_unsloth_and_reference_follow_one_trajectory(clean: dict[str, CellResult]) -> None:
    unsloth, reference = (clean[cell].record.eval_losses for cell in (UNSLOTH, REFERENCE))
    # Measured 3e-7 over three epochs in float32.
    assert unsloth == pytest.approx(reference, rel=1e-5)


def test_translations_are_scored(clean: dict[str, CellResult]) -> None:
    record = clean[UNSLOTH].record
    assert len(record.translations) == record.recipe["generate_rows"]
    assert record.scores is not None


def test_the_machine_is_noted_and_the_start_up_taken_apart(clean: dict[str, CellResult]) -> None:
    for cell in clean.values():
        seen = {conditions.phase: conditions for conditions in cell.record.conditions}
        assert {"import", "train"} <= seen.keys()
        assert 0 <= (seen["train"].cpu_others or 0.0) <= 1
        assert seen["train"].cpu_steal is not None
        assert cell.record.model is not None
        assert 1.6e6 < cell.record.model.matrix_parameters < 1.8e6
        parts = start_up_figures(cell.record)
        assert parts["time_to_first_step_s"] > parts["import_s"] > parts["first_step_s"]


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_seen_by_its_check(faulty: dict[str, CellResult], fault: str) -> None:
    expected, diagnosis = FAULTS[fault]
    cell = faulty[fault]
    assert cell.record.fault == fault
    failed = {check for check, outcome in outcomes(cell).items() if outcome is Outcome.FAIL}
    assert expected <= failed
    assert any(diagnosis in text for v in cell.verdicts for text in (*v.diagnosis, v.message))


@pytest.mark.parametrize(
    ("fault", "status", "kind"),
    [("killed", "CRASHED", "SIGKILL"), ("out_of_memory", "OOM", "RuntimeError")],
)
def test_death_in_training_leaves_a_record(
    judge: Judge, fault: str, status: str, kind: str
) -> None:
    record = judge(REFERENCE, fault).record
    assert record.status == status
    assert record.failure is not None
    assert (record.failure.phase, record.failure.kind) == ("train", kind)
    assert len(record.evaluations) == 1


def test_hang_is_a_timeout(judge: Judge) -> None:
    cell = judge(REFERENCE, "hangs", timeout_s=25)
    assert cell.outcome is Outcome.TIMEOUT
