"""Memory of real runs: phases with peaks of their own, bytes in use by step, and what a token keeps."""

import pytest

from harness.activation_memory import MemorySlope, memory_slope
from harness.record import Record
from harness.verdict import Outcome
from tests.integration.conftest import Judge

CELL = "reference-2026.10.9/cpu/float32/mild"

pytestmark = pytest.mark.trains


@pytest.fixture(scope="module")
def clean(judge: Judge) -> Record:
    return judge(CELL).record


def slope_of(record: Record) -> MemorySlope:
    assert record.probe is not None
    slope = memory_slope(record.probe.activation_memory)
    assert slope is not None
    return slope


def test_training_evaluation_and_saving_have_peaks(clean: Record) -> None:
    phases = {phase.name: phase for phase in clean.phases}

    assert [*phases] == ["import", "load", "data", "train", "eval", "probe", "generate", "save"]
    assert all(phase.peak_rss for phase in phases.values())
    # Evaluations are part of the training's time.
    measured = sum(evaluation.wall_s for evaluation in clean.evaluations)
    assert measured <= phases["eval"].wall_s < phases["train"].wall_s


def test_bytes_in_use_are_level_in_a_clean_run(clean: Record) -> None:
    used = [step.memory_bytes for step in clean.steps]

    assert None not in used
    steady = [bytes_ for bytes_ in used[10:] if bytes_]
    assert max(steady) - min(steady) < 2**20


def test_eager_attention_keeps_one_matrix_a_layer_and_head(clean: Record) -> None:
    assert slope_of(clean).attention_matrices == pytest.approx(1, abs=0.02)


@pytest.mark.parametrize("field", ["attention=sdpa", "gradient_checkpointing=true"])
def test_fused_attention_and_checkpointing_keep_less(
    judge: Judge, clean: Record, field: str
) -> None:
    cell = judge(f"{CELL}+{field}")
    verdict = next(v for v in cell.verdicts if v.check == "memory_slope")

    assert verdict.outcome is Outcome.PASS
    assert slope_of(cell.record).attention_matrices < 0.2
    assert slope_of(cell.record).bytes_per_token < slope_of(clean).bytes_per_token


@pytest.mark.parametrize(
    ("fault", "field"),
    [
        ("quadratic_attention", "attention=sdpa"),
        ("loses_checkpointing", "gradient_checkpointing=true"),
    ],
)
def test_a_fallback_that_keeps_more_fails(judge: Judge, fault: str, field: str) -> None:
    cell = judge(f"{CELL}+{field}", fault)
    assert [v.check for v in cell.verdicts if v.outcome.is_red] == ["memory_slope"]
