"""`harness fidelity`: emulated cells beside the same cells on a GPU."""

from pathlib import Path
from typing import Annotated

import typer

from harness import fidelity as fidelity_of
from harness.cli.options import Out
from harness.cli.terminal import console, interruptible, say
from harness.kept_records import read_folders
from harness.matrix import file_slug
from harness.plan import Options, Plan, command_line
from harness.record import write_record
from harness.reports import fidelity as table
from harness.reports.table_file import write_table


def fidelity(
    folders: Annotated[list[Path], typer.Argument(metavar="FOLDER...", help="With records.")],
    *,
    train: Annotated[
        bool,
        typer.Option(
            "--train",
            help="Train the emulated cells that lack, and put them below the first folder.",
        ),
    ] = False,
    out: Out = None,
) -> None:
    """Compare records of emulated cells with records of the same cells on a GPU."""
    records = list(read_folders(folders))
    if train:
        plan = Plan(Options())
        with interruptible():
            runs = [plan.once(cell) for cell in fidelity_of.without_counterpart(records)]
            trained = plan.execute(runs, console)
        for record in (result.record for result in trained):
            write_record(record, folders[0] / "emulated" / f"{file_slug(record.cell_id)}.json")
            records.append(record)
    pairings = fidelity_of.pair(records)
    console.print(table.render(pairings))
    for line in table.summary(pairings):
        say(line)
    path = write_table("fidelity", table.markdown(pairings, command_line()), out)
    say(f"table: {path}")
    raise typer.Exit(0 if pairings and not any(p.differing for p in pairings) else 1)
