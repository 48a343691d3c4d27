"""Two cells run with their first steps kept, and compared."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console

from harness.dispatch.dispatcher import Result, Run
from harness.errors import IncompleteError
from harness.experiment import Extra
from harness.explain.explanation import Explanation, explain
from harness.explain.first_step import FirstStep, read
from harness.locations import reports_dir
from harness.plan import Plan
from harness.store import RecordStore

FOLDER = "first-steps"
"""Below the reports folder: these records never mix with those of `harness run`."""


@dataclass(frozen=True)
class Side:
    """One cell's record and first step."""

    result: Result
    first_step: FirstStep


def sides(plan: Plan, cell_ids: Sequence[str], console: Console) -> list[Side]:
    """Run each cell that has no finished run with its first step kept, and read what was kept.

    Raises:
        IncompleteError: A cell did not complete.
        CorruptRecordError: A kept first step cannot be read.
    """
    cells = [plan.matrix.cell(cell_id) for cell_id in cell_ids]
    runs = [plan.once(cell, {Extra.FIRST_STEP}) for cell in cells]
    unique = {run.experiment.key: run for run in runs}
    results = plan.execute(list(unique.values()), console, FOLDER)
    by_key = {result.run.experiment.key: result for result in results}
    return [_side(by_key[run.experiment.key], run) for run in runs]


def explain_cells(plan: Plan, a: str, b: str, console: Console) -> Explanation:
    """Run two cells as `sides` does and compare their first steps."""
    first, second = sides(plan, [a, b], console)
    return explain(first.first_step, second.first_step)


def _side(result: Result, run: Run) -> Side:
    record = result.record
    if record.status != "COMPLETED":
        failure = record.failure
        why = f" in phase {failure.phase}: {failure.kind}: {failure.message}" if failure else ""
        raise IncompleteError(f"{record.cell_id} ended as {record.status}{why}")
    store = RecordStore(reports_dir() / FOLDER)
    return Side(result, read(store.first_step(run.experiment, run.repeat)))
