"""Run both stacks of an update, here or on the runners of a CI, and write what they answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from harness import reports
from harness.dependency_update import comment, merge
from harness.dependency_update.answer import Answer, answer
from harness.dependency_update.update import Update
from harness.gate import GateResult
from harness.locations import new_run_dir
from harness.plan import Options, Plan, run_gate
from harness.record import write_json_atomically
from harness.runners import jobs, read_runners

UPDATE_NAME = "update.json"


@dataclass(frozen=True)
class Answered:
    """An update, its answer, and where the report is."""

    answer: Answer
    result: GateResult | None
    folder: Path


def run_here(
    update: Update, options: Options, patterns: Sequence[str], console: Console
) -> Answered:
    """Run the cells of this machine on both stacks.

    Args:
        update: What moved; something did.
        options: Whose releases are the update's.
        patterns: Which cells, as `harness.runners.select` takes them.
        console: Shows progress.
    """
    plan = Plan(options)
    cells = plan.select(patterns)
    result, folder = run_gate(plan, cells, console)
    found = answer(update, result, [cell.id for cell in cells])
    return _written(update, found, result, folder)


def put_together(
    update: Update,
    folders: Sequence[Path],
    runners: Path,
    options: Options,
    patterns: Sequence[str],
    console: Console,
) -> Answered:
    """Answer an update from the runs that a CI's runners left.

    Args:
        update: What moved; something did.
        folders: What they left.
        runners: Says which cells they were to run.
        options: As each of them had.
        patterns: As each of them had.
        console: Takes what is missing.
    """
    planned = jobs(read_runners(runners), options.matrix, options.overrides, patterns)
    expected = [cell.id for job in planned for cell in job.cells]
    result = merge.merged(update, folders, lambda line: console.print(line, markup=False))
    folder = new_run_dir("merged-")
    if result:
        reports.write(result, folder)
    return _written(update, answer(update, result, expected), result, folder)


def _written(update: Update, found: Answer, result: GateResult | None, folder: Path) -> Answered:
    write_json_atomically(folder / UPDATE_NAME, update.model_dump_json(indent=1) + "\n")
    text = comment.render(update, found, result)
    write_json_atomically(folder / reports.SUMMARY_NAME, text)
    return Answered(found, result, folder)
