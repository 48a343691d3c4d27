"""Event files for TensorBoard, written without TensorFlow: one folder a run."""

import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.errors import MissingExtraError, StorageError
from harness.matrix import file_slug
from harness.reports.markdown_text import code, escape
from harness.tracking.tracked import TrackedRun, non_finite

_LONGEST_TEXT = 2_000


def export(runs: Sequence[TrackedRun], out: Path) -> list[Path]:
    """Write the event files of runs, each whole or not at all; those that are there are replaced.

    Args:
        runs: What to write.
        out: TensorBoard's log folder.

    Returns:
        The folder of each run: `OUT/CELL/START-ID`.

    Raises:
        MissingExtraError: tensorboardX is not installed.
        StorageError: The folder cannot be written.
    """
    try:
        import tensorboardX  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("tensorboardX", "tensorboard") from error
    try:
        return [_write(run, out) for run in runs]
    except OSError as error:
        raise StorageError(
            f"cannot write event files to {out}: {error.strerror}. Free some space or choose another "
            "folder; runs written so far are whole."
        ) from error


def _write(run: TrackedRun, out: Path) -> Path:
    from tensorboardX import SummaryWriter

    cell = re.sub(r"[^\w.+=, ()-]", "_", file_slug(run.name)).strip(". ") or "_"
    folder = out / cell / f"{run.started:%Y%m%d-%H%M%S}-{run.id}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    start = run.started.timestamp()
    # TensorBoard reads every event file of a folder: a second one would double each curve.
    with tempfile.TemporaryDirectory(prefix=".", dir=out) as unfinished:
        made = Path(unfinished) / folder.name
        writer = SummaryWriter(str(made))
        for name, points in run.metrics.items():
            for point in points:
                writer.add_scalar(name, point.value, point.step, walltime=start + point.elapsed_s)
        for title, table in (("tags", run.tags), ("params", run.params)):
            writer.add_text(title, _table(table), 0, walltime=start)
        for name, points in run.metrics.items():
            if said := non_finite(points):
                writer.add_text(
                    f"non_finite/{name}", escape(said, _LONGEST_TEXT), 0, walltime=start
                )
        writer.close()
        if folder.exists():
            shutil.rmtree(folder)
        made.rename(folder)
    return folder


def _table(texts: Mapping[str, str]) -> str:
    rows = [
        f"| {escape(name, 250)} | {code(text, _LONGEST_TEXT)} |" for name, text in texts.items()
    ]
    return "\n".join(["| | |", "|---|---|", *rows])
