"""`harness figures`: what a card gave, from records."""

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import Out
from harness.cli.terminal import console, say
from harness.errors import InputError
from harness.kept_records import newest, read_folders
from harness.plan import command_line
from harness.reports import card as table
from harness.reports import throughput as table_of_throughput
from harness.reports.table_file import write_table
from harness.throughput.pairs import kept_answers


def figures(
    folders: Annotated[list[Path], typer.Argument(metavar="FOLDER...", help="With records.")],
    out: Out = None,
) -> None:
    """Show what cells on a GPU gave: loss, precision, speed, memory, start-up, pairs; train nothing."""
    records = table.native(newest(read_folders(folders)))
    if not records:
        raise InputError(
            f"no record of a cell on a GPU below {', '.join(map(str, folders))}. `harness window` "
            "measures some on a machine that has one."
        )
    answers = [answer for folder in folders for answer in kept_answers(folder)]
    console.print(table.render(records))
    for answer in answers:
        console.print(table_of_throughput.render(answer))
    sections = [table_of_throughput.markdown(answer, command_line()) for answer in answers]
    text = "\n#".join([table.markdown(records, command_line()), *sections])
    path = write_table("figures", text, out)
    say(f"table: {path}")
