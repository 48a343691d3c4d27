"""unslothai/unsloth#2032 on the emulated T4: red on the release of the issue, fixed after it."""

import math

import pytest

from harness.gate import CellResult
from harness.verdict import Outcome, Verdict
from tests.integration.conftest import JudgeAll

BEFORE, AFTER = "unsloth-2025.3.14", "unsloth-2025.3.16"
T4, A100 = "t4-emulated/auto", "a100-emulated/auto"
CELLS = [
    f"{BEFORE}/{T4}/hot-marker",
    f"{BEFORE}/{T4}/hot",
    f"{AFTER}/{T4}/hot-marker",
    f"{BEFORE}/{A100}/hot-marker",
]

pytestmark = pytest.mark.trains


@pytest.fixture(scope="module")
def cells(judge_all: JudgeAll) -> dict[str, CellResult]:
    return judge_all(CELLS)


def failed(cell: CellResult) -> dict[str, Verdict]:
    return {v.check: v for v in cell.verdicts if v.outcome is Outcome.FAIL}


def test_eval_loss_is_finite_and_frozen_to_the_bit(cells: dict[str, CellResult]) -> None:
    cell = cells[f"{BEFORE}/{T4}/hot-marker"]
    losses = cell.record.eval_losses
    assert len(losses) == 4
    assert math.isfinite(losses[0])
    assert len(set(losses)) == 1
    assert {"eval_loss_moves", "training_applied", "precision"} <= set(failed(cell))


@pytest.mark.parametrize("recipe", ["hot", "hot-marker"])
def test_the_diagnosis_is_the_mechanism(cells: dict[str, CellResult], recipe: str) -> None:
    red = failed(cells[f"{BEFORE}/{T4}/{recipe}"])
    causes = " ".join(cause for verdict in red.values() for cause in verdict.diagnosis)
    advice = " ".join(line for verdict in red.values() for line in verdict.advice)
    assert "float16 overflow" in causes
    assert "autocast" in causes
    assert "GradScaler skipped 30 of 30 steps" in causes
    assert "learning rate" not in causes
    assert "l4" in advice
    assert "a100" in advice
    assert "Unsloth 2025.3.16 or later" in advice


def test_hot_is_nan_from_the_start(cells: dict[str, CellResult]) -> None:
    cell = cells[f"{BEFORE}/{T4}/hot"]
    assert all(math.isnan(loss) for loss in cell.record.eval_losses)
    assert cell.outcome is Outcome.FAIL


def test_the_first_fixed_release_and_the_a100_pass(cells: dict[str, CellResult]) -> None:
    for cell_id in (f"{AFTER}/{T4}/hot-marker", f"{BEFORE}/{A100}/hot-marker"):
        cell = cells[cell_id]
        assert cell.outcome is Outcome.PASS, failed(cell)
        assert cell.record.eval_losses[-1] < 0.8 * cell.record.eval_losses[0]
