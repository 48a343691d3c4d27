"""Real runs that save, and fresh processes that reload, merge and resume."""

import io
import math
from pathlib import Path
from types import ModuleType

import pytest
from rich.console import Console

from harness.experiment import AFTERWARDS, Extra
from harness.plan import Options, Plan
from harness.record import Record
from harness.relations import merge, resume, save_reload
from tests.integration.conftest import Judge

UNSLOTH = "unsloth-2026.10.9/cpu/float32/ragged"
REFERENCE = "reference-2026.10.9/cpu/float32/ragged"
CANNOT_RELOAD = Path(__file__).with_name("cannot_reload.py")

pytestmark = pytest.mark.trains


def run(
    *cells: str, fault: Path | None = None, extras: frozenset[Extra] = AFTERWARDS
) -> dict[str, Record]:
    plan = Plan(Options(fault=fault, preloaded=True))
    runs = [plan.once(plan.matrix.cell(cell), extras) for cell in cells]
    try:
        results = plan.execute(runs, Console(file=io.StringIO()), "afterwards")
    finally:
        plan.close()
    return {result.record.cell_id: result.record for result in results}


def deviations(relation: ModuleType, record: Record) -> dict[str, float]:
    return {d.quantity: d.value for d in relation.deviations({"run": record})}


@pytest.fixture(scope="module")
def clean() -> dict[str, Record]:
    return run(UNSLOTH, REFERENCE)


@pytest.mark.parametrize("cell", [UNSLOTH, REFERENCE])
def test_saving_does_not_disturb_the_run(judge: Judge, clean: dict[str, Record], cell: str) -> None:
    plain, asked = judge(cell).record, clean[cell]
    assert asked.status == "COMPLETED"
    assert (plain.extras, asked.extras) == ([], ["merge", "reload", "resume"])
    assert plain.key != asked.key
    assert asked.eval_losses == plain.eval_losses
    assert [s.raw_loss for s in asked.steps] == [s.raw_loss for s in plain.steps]
    assert [s.grad_norm for s in asked.steps] == [s.grad_norm for s in plain.steps]
    assert asked.adapter == plain.adapter
    assert asked.translations == plain.translations
    assert [phase.name for phase in asked.phases][-4:] == ["save", "reload", "merge", "resume"]


@pytest.mark.parametrize("cell", [UNSLOTH, REFERENCE])
@pytest.mark.parametrize("relation", [save_reload, resume])
def test_reloaded_and_resumed_are_equal_to_the_bit(
    clean: dict[str, Record], cell: str, relation: ModuleType
) -> None:
    assert set(deviations(relation, clean[cell]).values()) == {0.0}


@pytest.mark.parametrize("cell", [UNSLOTH, REFERENCE])
def test_merged_is_equal_but_for_rounding(clean: dict[str, Record], cell: str) -> None:
    found = deviations(merge, clean[cell])
    rounded = {
        quantity: found.pop(quantity) for quantity in ("eval_loss", "token_loss", "row losses")
    }
    assert set(found.values()) == {0.0}
    # Measured 7e-8 for the worst row in float32.
    assert 0 < max(rounded.values()) < 1e-6


def test_a_fresh_process_that_dies_is_data() -> None:
    record = run(REFERENCE, fault=CANNOT_RELOAD, extras=frozenset({Extra.RELOAD}))[REFERENCE]
    assert (record.status, record.failure) == ("COMPLETED", None)
    (failed,) = save_reload.deviations({"run": record})
    assert failed.value == math.inf
    assert "load: SIGKILL" in failed.where
