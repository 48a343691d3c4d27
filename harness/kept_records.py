"""Records without a run: brought back from another machine, or left by runs that were cut off."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path

from pydantic_core import from_json

from harness import __version__, reports
from harness.errors import CorruptRecordError, InputError
from harness.gate import GateResult, judge_cells
from harness.record import Record, read_record


def read_folders(folders: Sequence[Path]) -> Iterator[Record]:
    """Read every record below some folders; JSON of other things is passed over.

    Raises:
        InputError: A folder that is not there.
        CorruptRecordError: After all that can be read: files that were records, or are of another
            version. An answer that left them out in silence could be green for want of a red one.
    """
    damaged: list[CorruptRecordError] = []
    for folder in folders:
        if not folder.is_dir():
            raise InputError(f"no folder of records at {folder}.")
        for path in sorted(folder.rglob("*.json")):
            try:
                yield read_record(path)
            except CorruptRecordError as error:
                damaged += [] if _is_something_else(path) else [error]
    if damaged:
        rest = "".join(f"\n{error}" for error in damaged[1:])
        raise CorruptRecordError(f"{damaged[0]}{rest}")


def _is_something_else(path: Path) -> bool:
    """Whether a file that is no record never was one: a result, a table, a manifest."""
    try:
        data = from_json(path.read_bytes())
    except (OSError, ValueError):
        return False
    return not (isinstance(data, dict) and "cell_id" in data)


def result_of(folder: Path, command: str) -> GateResult:
    """Return the result of a run by its folder, or that of judging the records in any other folder.

    Raises:
        InputError, CorruptRecordError: As `reports.load` and `judge_kept` do.
    """
    return reports.load(folder) if reports.is_run(folder) else judge_kept(folder, command)


def judge_kept(folder: Path, command: str) -> GateResult:
    """Judge every cell that a folder has records of, by its newest experiment.

    Args:
        folder: Records, at any depth.
        command: Stands in the report.

    Raises:
        InputError: No folder, or no record in it.
        CorruptRecordError: As `read_folders` does.
    """
    records = newest(read_folders([folder]))
    if not records:
        raise InputError(
            f"no record below {folder}. Name the folder that a run reported to have written, or one "
            "with records, such as reports/records."
        )
    first = min(_start(record) for record in records)
    last = max(_start(record) + record.duration_s for record in records)
    return GateResult(
        command=command,
        started_at=min(record.started_at for record in records),
        duration_s=last - first,
        harness_version=__version__,
        cells=judge_cells((record, True) for record in records),
    )


def newest(records: Iterable[Record]) -> list[Record]:
    """Return the records of each cell that repeat its newest experiment: an older payload is another one."""
    by_age = sorted(records, key=_start)
    latest = {record.cell_id: record.key for record in by_age}
    kept = {(r.cell_id, r.repeat): r for r in by_age if r.key == latest[r.cell_id]}
    return sorted(kept.values(), key=lambda r: (r.cell_id, r.repeat))


def _start(record: Record) -> float:
    return datetime.fromisoformat(record.started_at).timestamp()
