"""`harness export`: records as runs of MLflow or TensorBoard."""

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.terminal import interruptible, say
from harness.kept_records import result_of
from harness.tracking import to_mlflow, to_tensorboard
from harness.tracking.credentials import redacted
from harness.tracking.tracked import tracked_runs

app = typer.Typer(help="Records in the trackers that a team has.", no_args_is_help=True)

Folder = Annotated[Path, typer.Argument(help="A folder below reports/runs, or any with records.")]


@app.command()
def mlflow(
    folder: Folder,
    uri: Annotated[str, typer.Option(envvar="MLFLOW_TRACKING_URI", help="Of the tracking server.")],
    experiment: Annotated[str, typer.Option(help="Made where it lacks.")] = "gemma-lora-gate",
) -> None:
    """Write each cell and repeat to an MLflow server as a run; twice changes nothing."""
    # Not this command: its address may hold a password, and the report goes along.
    result = result_of(folder, f"harness report {folder}")
    with interruptible("exported runs are kept, run the same command to go on"):
        done = to_mlflow.export(result, uri, experiment)
    say(f"{len(done.new)} runs exported, {len(done.present)} were there already")
    if uri.startswith("http"):
        say(f"experiment: {redacted(uri).rstrip('/')}/#/experiments/{done.experiment_id}")


@app.command()
def tensorboard(
    folder: Folder,
    out: Annotated[Path, typer.Option(help="TensorBoard's log folder.")],
) -> None:
    """Write event files for `tensorboard --logdir OUT`: each cell and repeat a run."""
    result = result_of(folder, f"harness report {folder}")
    with interruptible("runs written so far are whole"):
        written = to_tensorboard.export(tracked_runs(result), out)
    say(f"{len(written)} runs: tensorboard --logdir {out}")
