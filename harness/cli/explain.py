"""`harness explain`: the first step of two cells taken apart."""

from typing import Annotated

import typer

from harness.cli.options import Data, Fresh, Jobs, MatrixFile, Model, Scale
from harness.cli.terminal import console, interruptible
from harness.explain import table as explain_table
from harness.explain.run import explain_cells
from harness.matrix import DEFAULT_MATRIX, Overrides
from harness.plan import Options, Plan


def explain(
    a: Annotated[str, typer.Argument(metavar="A", help="Id of a cell.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Id of another.")],
    matrix: MatrixFile = DEFAULT_MATRIX,
    model: Model = None,
    data: Data = None,
    scale: Scale = None,
    jobs: Jobs = None,
    *,
    fresh: Fresh = False,
    every: Annotated[bool, typer.Option("--all", help="Fold no layer.")] = False,
) -> None:
    """Take the first step of two cells apart and name the first thing that differs."""
    plan = Plan(Options(matrix, Overrides(model, data, scale), jobs, fresh))
    with interruptible():
        explanation = explain_cells(plan, a, b, console)
    console.print(explain_table.render(explanation, a, b, every=every))
    raise typer.Exit(1 if explanation.first else 0)
