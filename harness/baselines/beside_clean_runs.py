"""Faults whose check needs a baseline: run alone, between clean runs of the same session.

A slowdown shows only beside what is normal here and now, so that nothing of it is ever reused: clean
runs of the fault's own cell make a baseline of this session, and one more of them must pass by it.
"""

from collections.abc import Sequence
from itertools import zip_longest

from rich.console import Console

from harness.baselines import undisturbed
from harness.baselines.baseline import Baseline, from_records
from harness.cell_result import CellResult
from harness.dispatch.dispatcher import Run
from harness.errors import BaselineError
from harness.faults.catalogue import Clean, Fault
from harness.gate import judge_cell
from harness.matrix import Cell
from harness.plan import Options, Plan
from harness.record import Record

CLEAN_RUNS = 5
"""Make a band: with five repeats a spread of 1 % between processes gives one of 6 to 7 %."""

_RECORDS = "beside"


def run_beside(
    faults: Sequence[Fault], console: Console
) -> tuple[list[CellResult], list[tuple[Clean, CellResult]]]:
    """Run faults and clean runs of their cells, one at once in fresh processes, and judge them.

    Returns:
        What was judged of each fault, in their order, and the clean run of each cell.

    Raises:
        HarnessError: A cell that cannot be resolved here.
        BaselineError: Clean runs that make no baseline.
    """
    plan = Plan(Options(jobs=1, fresh=True))
    by_cell: dict[str, list[Fault]] = {}
    for fault in faults:
        by_cell.setdefault(fault.cell_of(plan.matrix).id, []).append(fault)
    runs = [
        run
        for group in by_cell.values()
        for run in _in_turns(plan, group[0].cell_of(plan.matrix), group)
    ]
    results = undisturbed.execute(plan, runs, console, _RECORDS)
    records = {result.run: result.record for result in results}
    judged: dict[str, CellResult] = {}
    clean_judged = []
    for cell_id, group in by_cell.items():
        mine = {run: record for run, record in records.items() if run.experiment.cell.id == cell_id}
        clean = [record for run, record in mine.items() if run.experiment.fault_file is None]
        baseline = _baseline(clean[:CLEAN_RUNS])
        entry = Clean(cell=group[0].cell, recipe=group[0].recipe)
        clean_judged.append((entry, _judged(clean[CLEAN_RUNS], baseline)))
        for run, record in mine.items():
            if run.experiment.fault_file is not None:
                judged[run.experiment.fault_file.stem] = _judged(record, baseline)
    return [judged[fault.name] for fault in faults], clean_judged


def _in_turns(plan: Plan, cell: Cell, faults: Sequence[Fault]) -> list[Run]:
    # A machine that drifts does so for both.
    clean = [Run(plan.once(cell).experiment, repeat) for repeat in range(CLEAN_RUNS + 1)]
    faulted = [plan.once(cell, fault=fault.file) for fault in faults]
    return [run for turn in zip_longest(clean, faulted) for run in turn if run is not None]


def _baseline(records: Sequence[Record]) -> Baseline:
    try:
        return from_records(records)
    except BaselineError as error:
        raise BaselineError(f"clean runs that faults are judged beside: {error}") from error


def _judged(record: Record, baseline: Baseline) -> CellResult:
    return judge_cell([record], reused=False, baseline=baseline)
