"""`harness fidelity`: emulated cells beside the same cells on a GPU."""

from pathlib import Path
from typing import Annotated

import typer

from harness import fidelity as fidelity_of
from harness.cli.terminal import console, say
from harness.kept_records import read_folders
from harness.plan import command_line
from harness.reports import fidelity as table
from harness.reports.table_file import write_table


def fidelity(
    folders: Annotated[list[Path], typer.Argument(metavar="FOLDER...", help="With records.")],
) -> None:
    """Compare records of emulated cells with records of the same cells on a GPU; train nothing."""
    pairings = fidelity_of.pair(read_folders(folders))
    console.print(table.render(pairings))
    for line in table.summary(pairings):
        say(line)
    path = write_table("fidelity", table.markdown(pairings, command_line()))
    say(f"table: {path}")
    raise typer.Exit(0 if pairings and not any(p.differing for p in pairings) else 1)
