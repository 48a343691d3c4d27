"""The runs of several machines, put together to one result."""

from collections.abc import Callable, Sequence
from pathlib import Path

from harness import __version__, reports
from harness.cell_result import CellResult
from harness.dependency_update.update import Update
from harness.errors import CorruptRecordError, InputError
from harness.gate import GateResult
from harness.plan import command_line


def merged(
    update: Update, folders: Sequence[Path], say: Callable[[str], None]
) -> GateResult | None:
    """Read every run below some folders.

    A folder that is not there, and a run that cannot be read, is said and left out: its cells were not run.

    Args:
        update: What was to be run.
        folders: What the jobs left, at any depth.
        say: Takes what is left out.

    Returns:
        None where no run is found.

    Raises:
        InputError: A run of other stacks than the update's.
    """
    found: list[GateResult] = []
    for folder in folders:
        paths = sorted(folder.rglob(reports.RESULT_NAME)) if folder.is_dir() else []
        if not paths:
            say(f"no run below {folder}")
        for path in paths:
            try:
                found.append(reports.load(path.parent))
            except (CorruptRecordError, InputError) as error:
                say(f"left out: {error}")
    cells: dict[str, CellResult] = {}
    for cell in (cell for result in found for cell in result.cells):
        _require_side(update, cell)
        before = cells.get(cell.record.cell_id)
        if before is None or before.outcome.is_unanswered_run:
            cells[cell.record.cell_id] = cell
    if not found:
        return None
    return GateResult(
        command=command_line(),
        started_at=min(result.started_at for result in found),
        duration_s=max(result.duration_s for result in found),
        harness_version=__version__,
        cells=list(cells.values()),
    )


def _require_side(update: Update, cell: CellResult) -> None:
    name = cell.record.stack.name
    sides = {
        f"{family}-{release}" for family in ("unsloth", "reference") for release in update.releases
    }
    if name not in sides:
        raise InputError(
            f"{cell.record.cell_id} is of {name}, and the update compares {' with '.join(update.releases)}. Merge the "
            "runs of one `harness upgrade --save`."
        )
