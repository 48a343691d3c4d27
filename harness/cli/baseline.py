"""`harness baseline`: approve figures, list and show what was approved."""

from pathlib import Path
from typing import Annotated

import typer

from harness.baselines import files as baseline_files
from harness.baselines.baseline import experiment_of
from harness.baselines.update import RECORDS, approve, update
from harness.cli.options import Data, MatrixFile, Scale
from harness.cli.terminal import console, interruptible
from harness.errors import InputError
from harness.kept_records import newest, read_folders
from harness.locations import baselines_dir
from harness.matrix import DEFAULT_MATRIX, Overrides
from harness.plan import Options, Plan
from harness.reports import baselines as tables
from harness.stacks.stack import parse_name
from harness.window import kept

app = typer.Typer(
    help="What throughput, start-up and memory are compared with.", no_args_is_help=True
)


@app.command("update")
def update_baselines(
    cell_ids: Annotated[list[str], typer.Argument(metavar="CELL...", help="Ids of cells.")],
    reason: Annotated[str, typer.Option(help="Why the former figures no longer hold.")],
    runs: Annotated[int, typer.Option(help="Repeats of each cell, one after the other.")] = 5,
    matrix: MatrixFile = DEFAULT_MATRIX,
    model: Annotated[str | None, typer.Option(help="In place of the fixture.")] = None,
    data: Data = None,
    scale: Scale = None,
) -> None:
    """Run cells alone on this machine and approve their figures: a file to review and commit."""
    plan = Plan(Options(matrix, Overrides(model, data, scale), jobs=1, fresh=True))
    cells = [plan.matrix.cell(cell_id) for cell_id in dict.fromkeys(cell_ids)]
    with interruptible("no baseline was written"):
        done = update(plan, cells, runs, reason, console)
    for one in done:
        console.print(tables.render_update(one), soft_wrap=True)


@app.command("approve")
def approve_baselines(
    folder: Annotated[Path, typer.Argument(help="What `harness window` brought back, unpacked.")],
    cell_ids: Annotated[
        list[str] | None, typer.Argument(metavar="[CELL...]", help="All of its repeats without.")
    ] = None,
    *,
    reason: Annotated[str, typer.Option(help="Why the former figures no longer hold.")],
) -> None:
    """Approve repeats that another machine brought back: a file to review and commit; train nothing."""
    records = newest(read_folders([folder / RECORDS]))
    for one in approve(records, kept.commit_in(folder), reason, cell_ids or ()):
        console.print(tables.render_update(one), soft_wrap=True)


@app.command("list")
def list_baselines() -> None:
    """List every baseline: experiment, machine, release, who approved it and why."""
    found = list(baseline_files.load_all(baselines_dir()))
    console.print(tables.render_list(found) if found else f"no baseline in {baselines_dir()}")


@app.command("show")
def show_baseline(
    cell_id: Annotated[str, typer.Argument(metavar="CELL", help="Id of a cell, of any release.")],
) -> None:
    """Show the baselines that a cell is compared with, on every machine that has one."""
    stack = cell_id.split("/")[0]
    family = stack if stack in ("unsloth", "reference") else parse_name(stack)[0]
    experiment = experiment_of(cell_id, family)
    found = [b for b in baseline_files.load_all(baselines_dir()) if b.experiment == experiment]
    if not found:
        raise InputError(
            f"no baseline of {experiment} in {baselines_dir()}. `harness baseline update {cell_id} "
            "--reason ...` makes one; `harness baseline list` shows what there is."
        )
    for one in found:
        console.print(tables.render(one), soft_wrap=True)
