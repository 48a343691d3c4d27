"""A cell forked from imported libraries is the cell that a fresh process runs."""

import io
from collections.abc import Iterator

import pytest
from rich.console import Console

from harness.dispatch.dispatcher import Run
from harness.locations import FIXTURES
from harness.plan import Options, Plan
from harness.record import Record

CELLS = (
    "reference-2026.10.9/cpu/float32/ragged",
    "unsloth-2026.10.9/cpu/float32/ragged",
    "unsloth-2026.10.9/a100-emulated/auto/ragged",
)
FAULT = FIXTURES / "faults" / "frozen_adapter.py"

pytestmark = pytest.mark.trains


def execute(plan: Plan, *runs: Run) -> list[Record]:
    results = plan.execute(runs, Console(file=io.StringIO()))
    return [result.record for result in results]


@pytest.fixture(scope="module")
def preloaded() -> Iterator[Plan]:
    # One at a time: every cell of a stack is forked from the same process.
    plan = Plan(Options(preloaded=True, fresh=True, jobs=1))
    yield plan
    plan.close()


def figures(record: Record) -> dict[str, object]:
    """Return all that is measured but for times, memory and where the run was."""
    evaluations = [e.model_dump(exclude={"wall_s"}) for e in record.evaluations]
    steps = [s.model_dump(exclude={"wall_s", "memory_bytes"}) for s in record.steps]
    kept = {"adapter", "base_weights", "precision", "scaler", "probe", "rows", "fault"}
    assert record.executed is not None
    executed = record.executed.model_dump(exclude={"arguments", "requested", "environment"})
    return {"evaluations": evaluations, "steps": steps, "executed": executed} | record.model_dump(
        include=kept
    )


@pytest.mark.parametrize("cell_id", CELLS)
def test_forked_cells_are_equal_to_the_bit(preloaded: Plan, cell_id: str) -> None:
    fresh = Plan(Options())
    cell = fresh.matrix.cell(cell_id)
    (alone,) = execute(fresh, fresh.once(cell))
    once = preloaded.once(cell)
    between = preloaded.once(cell.varied({"seed": 1, "batch_size": 2}), fault=FAULT)
    first, other, again = (execute(preloaded, run)[0] for run in (once, between, once))

    assert alone.status == "COMPLETED"
    assert (alone.preloaded, first.preloaded, again.preloaded) == (False, True, True)
    assert "import" in {phase.name for phase in alone.phases}
    assert "import" not in {phase.name for phase in first.phases}
    assert figures(first) == figures(alone)
    assert other.fault == "frozen_adapter"
    assert other.adapter is not None
    assert other.adapter.lora_b_moved == 0
    # Nor does the fault of the cell before it leak.
    assert figures(again) == figures(alone)
