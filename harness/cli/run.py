"""`harness run`: run cells, judge them, write a report."""

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from harness import reports
from harness.cli.options import Data, Fresh, Jobs, MatrixFile, Model, Scale, Timeout
from harness.cli.terminal import console, interruptible
from harness.matrix import DEFAULT_MATRIX, Overrides
from harness.plan import Options, Plan, Where, run_gate
from harness.reports import terminal


def run(
    cell_ids: Annotated[list[str], typer.Argument(metavar="CELL...", help="Ids of cells.")],
    matrix: MatrixFile = DEFAULT_MATRIX,
    model: Model = None,
    data: Data = None,
    scale: Scale = None,
    jobs: Jobs = None,
    timeout: Timeout = None,
    fault: Annotated[Path | None, typer.Option(help="A fault plugin to inject.")] = None,
    dispatch: Annotated[Where, typer.Option(help="Where cells run.")] = Where.LOCAL,
    ray_address: Annotated[
        str | None, typer.Option(help="Of a Ray cluster; else RAY_ADDRESS, else this machine's.")
    ] = None,
    *,
    per_gpu: Annotated[
        int, typer.Option(min=1, help="Cells that share a GPU: decisions and losses, no speeds.")
    ] = 1,
    fresh: Fresh = False,
) -> None:
    """Run cells, in the default matrix or not, judge them and write a report."""
    options = Options(
        matrix,
        Overrides(model, data, scale),
        jobs,
        fresh,
        timeout,
        fault,
        where=dispatch,
        ray_address=ray_address,
        per_gpu=per_gpu,
    )
    plan = Plan(options)
    with interruptible(), closing(plan):
        result, folder = run_gate(plan, [plan.matrix.cell(c) for c in cell_ids], console)
    terminal.show(result, folder / reports.PAGE_NAME, console)
    raise typer.Exit(result.exit_code)
