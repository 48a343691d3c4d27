"""`harness faults`: the gate proves itself."""

from typing import Annotated

import typer

from harness.cli.options import Fresh
from harness.cli.terminal import console, interruptible, say
from harness.faults.catalogue import read_catalogue
from harness.faults.trials import run_trials
from harness.plan import command_line
from harness.reports import faults as table_of_faults
from harness.reports.table_file import write_table


def faults(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME...]", help="All without a name.")
    ] = None,
    clean: Annotated[int, typer.Option(min=0, help="Clean runs that must raise no alarm.")] = 0,
    *,
    fresh: Fresh = False,
) -> None:
    """Inject each fault of the catalogue and show which check sees it: the gate proves itself."""
    catalogue = read_catalogue()
    chosen, unharmed = catalogue.select(names or []), catalogue.clean_runs(clean)
    with interruptible():
        trials = run_trials(chosen, unharmed, console, fresh=fresh)
    console.print(table_of_faults.render(trials))
    say(f"table: {write_table('faults', table_of_faults.markdown(trials, command_line()))}")
    raise typer.Exit(trials.exit_code)
