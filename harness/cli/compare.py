"""`harness compare`: two cells against each other."""

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import Data, MatrixFile, Model, Scale
from harness.cli.terminal import console, interruptible, say
from harness.errors import SelectionError
from harness.locations import FIXTURES
from harness.matrix import DEFAULT_MATRIX, Matrix, Overrides
from harness.plan import Options, Plan, command_line
from harness.profiles import is_shown
from harness.reports import throughput as table_of_throughput
from harness.reports.table_file import write_table
from harness.stacks.stack import LIVE
from harness.throughput.pairs import Contest
from harness.throughput.pairs import compare as compare_pairs
from harness.throughput.sequential import LOOKS, Design


def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="Id of a cell, or a release.")],
    b: Annotated[str, typer.Argument(metavar="B", help="The one that may be slower.")],
    matrix: MatrixFile = DEFAULT_MATRIX,
    model: Model = None,
    data: Data = None,
    scale: Scale = None,
    max_pairs: Annotated[int, typer.Option(help="Process pairs at most.")] = LOOKS[-1],
    fault: Annotated[Path | None, typer.Option(help="A fault plugin for B.")] = None,
    level: Annotated[
        float, typer.Option(min=0.0, help="Share of a step that a slowdown takes: 0.05.")
    ] = 0.0,
    *,
    throughput: Annotated[bool, typer.Option("--throughput", help="Compare speed.")] = False,
    fresh: Annotated[bool, typer.Option(help="Measure kept pairs again.")] = False,
) -> None:
    """Say whether B is slower than A: live processes of both take turns, pair after pair."""
    if not throughput:
        raise typer.BadParameter("say what to compare: --throughput")
    if level and fault is None:
        raise typer.BadParameter(
            f"a level needs a slowdown, as --fault {FIXTURES.name}/slowdowns/sleep.py",
            param_hint="--level",
        )
    releases = () if "/" in a or "/" in b else (a, b)
    plan = Plan(Options(matrix, Overrides(model, data, scale, releases)))
    ids = common_cell(plan.matrix, a, b) if releases else (a, b)
    first, second = (plan.matrix.cell(cell_id) for cell_id in ids)
    contest = Contest(
        plan.once(first).experiment,
        plan.once(second, fault=fault).experiment,
        slowdown=level,
        design=Design(max_pairs=max_pairs),
    )
    with interruptible("finished pairs are kept, run the same command to go on"):
        answer = compare_pairs(contest, console, fresh=fresh)
    console.print(table_of_throughput.render(answer))
    path = write_table("throughput", table_of_throughput.markdown(answer, command_line()))
    say(f"table: {path}")
    raise typer.Exit(answer.exit_code)


def common_cell(matrix: Matrix, a: str, b: str) -> tuple[str, str]:
    """Return the ids of the matrix's first cell that both releases have, on native hardware if any.

    Raises:
        SelectionError: They share none.
    """
    cells = {cell.id: cell for cell in matrix.cells}
    names = [release if release in LIVE else f"unsloth-{release}" for release in (a, b)]
    shared = [
        (cell_id, other)
        for cell_id, cell in cells.items()
        if cell.stack == names[0] and (other := cell_id.replace(names[0], names[1], 1)) in cells
    ]
    if not shared:
        raise SelectionError(
            f"the matrix has no cell that {names[0]} and {names[1]} share; give the ids of two cells."
        )
    return min(shared, key=lambda ids: is_shown(cells[ids[0]].hardware))
