"""Records as TensorBoard event files: one folder for each record."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from harness.errors import MissingExtraError, StorageError
from harness.tracking.tracked import Tracked

_EVENTS = "events.out.tfevents.*"


def export(
    runs: Sequence[Tracked], out: Path, say: Callable[[str], None] = lambda message: None
) -> list[Path]:
    """Write each run's curves below a folder, in place of what an earlier export wrote of it.

    NaN and infinities are kept: TensorBoard draws them as gaps with a mark.

    Args:
        runs: What is written.
        out: What `tensorboard --logdir` is given.
        say: Told of each run.

    Returns:
        The folders, one for each run.

    Raises:
        MissingExtraError: The extra `tensorboard` is not installed.
        StorageError: They cannot be written.
    """
    try:
        from tensorboardX import SummaryWriter
    except ImportError as error:
        raise MissingExtraError("tensorboardX", "tensorboard") from error
    # It warns of every NaN; here they are findings.
    logging.getLogger("tensorboardX.x2num").setLevel(logging.ERROR)
    folders = []
    for run in runs:
        folder = out / f"{run.name.replace('/', '__')}-{run.identity}"
        try:
            for old in folder.glob(_EVENTS):
                old.unlink()
            with SummaryWriter(str(folder)) as writer:
                for metric in run.metrics:
                    writer.add_scalar(metric.name, metric.value, metric.step, run.started)
                for title, facts in (("parameters", run.parameters), ("findings", run.tags)):
                    rows = "\n".join(
                        f"| {name} | {_cell(value)} |" for name, value in facts.items()
                    )
                    writer.add_text(title, f"| name | value |\n|---|---|\n{rows}", 0, run.started)
        except OSError as error:
            raise StorageError(f"cannot write {folder}: {error.strerror}.") from error
        folders.append(folder)
        say(f"{run.name}: {len(run.metrics)} figures")
    return folders


def _cell(value: str) -> str:
    return value.replace("|", "\\|").replace("<", "&lt;")
