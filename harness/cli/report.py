"""`harness report`: render without training."""

from pathlib import Path
from typing import Annotated

import typer

from harness import reports
from harness.cli.terminal import console
from harness.gate import judge_again
from harness.kept_records import result_of
from harness.locations import new_run_dir
from harness.plan import command_line
from harness.throughput import gate as upgrade_throughput


def report(
    folder: Annotated[
        Path, typer.Argument(help="A folder below reports/runs, or any with records.")
    ],
    out: Annotated[Path | None, typer.Option(help="Folder for the report.")] = None,
    *,
    judge: Annotated[bool, typer.Option(help="Judge the records again, too.")] = False,
) -> None:
    """Render a report without training: of a run, or of the records in a folder."""
    result = result_of(folder, command_line())
    target = out or (folder if reports.is_run(folder) else new_run_dir("report-"))
    if judge:
        paired = upgrade_throughput.kept(result.cells)
        cells = upgrade_throughput.keep(paired, judge_again(result.cells))
        result = result.model_copy(update={"cells": cells})
    for path in reports.write(result, target):
        console.print(str(path), soft_wrap=True)
    raise typer.Exit(result.exit_code)
