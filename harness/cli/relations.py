"""`harness relations`: runs that must agree."""

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import Fresh
from harness.cli.terminal import console, interruptible, say
from harness.plan import Options, Plan, command_line
from harness.relation_sheet import run_sheet
from harness.reports import relations as table_of_relations
from harness.reports.table_file import write_table


def relations(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME...]", help="All without a name.")
    ] = None,
    cell: Annotated[
        list[str] | None, typer.Option(help="Id of a cell; else those of fixtures/relations.toml.")
    ] = None,
    search: Annotated[int, typer.Option(min=0, help="Recipes to generate for each relation.")] = 0,
    seed: Annotated[int, typer.Option(help="Of the generator.")] = 0,
    fault: Annotated[Path | None, typer.Option(help="A fault plugin in every run.")] = None,
    *,
    fresh: Fresh = False,
    calibrate: Annotated[
        bool, typer.Option(help="Print the tolerances that these runs give.")
    ] = False,
) -> None:
    """See whether runs that must agree do: n x 1 = 1 x n, on = off, Unsloth = plain ..."""
    plan = Plan(Options(fault=fault, fresh=fresh, preloaded=True))
    with interruptible(), closing(plan):
        outcome = run_sheet(plan, names or [], cell or [], search, seed, console)
    console.print(table_of_relations.render(outcome.trials))
    for line in outcome.searched:
        say(line)
    if calibrate:
        typer.echo(table_of_relations.tolerances(outcome.all_trials, command_line()))
    text = table_of_relations.markdown(outcome.trials, outcome.searched, command_line())
    say(f"table: {write_table('relations', text)}")
    raise typer.Exit(outcome.exit_code)
