"""`harness export`: records where a team already looks."""

from pathlib import Path
from typing import Annotated

import typer

from harness import reports
from harness.cli.terminal import interruptible, say
from harness.gate import GateResult
from harness.kept_records import judge_kept
from harness.plan import command_line
from harness.tracking import to_mlflow, to_tensorboard
from harness.tracking.tracked import track

app = typer.Typer(help="Records where a team already looks.", no_args_is_help=True)

Folder = Annotated[Path, typer.Argument(help="A folder below reports/runs, or any with records.")]


@app.command()
def mlflow(
    folder: Folder,
    uri: Annotated[str, typer.Option(help="Tracking URI.", envvar="MLFLOW_TRACKING_URI")],
    experiment: Annotated[str, typer.Option(help="Made if it is not there.")] = "gemma-lora-gate",
) -> None:
    """Write each record as an MLflow run; one that is there is left alone."""
    result = _read(folder)
    is_run = reports.is_run(folder)
    with interruptible("the same command goes on"):
        written = to_mlflow.export(
            track(result.cells),
            uri,
            experiment,
            parent=folder.resolve().name if is_run else None,
            artifacts=[folder / name for name in (reports.PAGE_NAME, reports.SUMMARY_NAME)]
            if is_run
            else (),
            say=say,
        )
    say(f"{written} of {sum(1 + len(cell.repeats) for cell in result.cells)} runs written")


@app.command()
def tensorboard(
    folder: Folder, out: Annotated[Path, typer.Option(help="What --logdir is given.")]
) -> None:
    """Write each record as TensorBoard event files, in place of an earlier export of it."""
    folders = to_tensorboard.export(track(_read(folder).cells), out, say)
    say(f"{len(folders)} runs written: tensorboard --logdir {out}")


def _read(folder: Path) -> GateResult:
    if reports.is_run(folder):
        return reports.load(folder)
    return judge_kept(folder, command_line())
