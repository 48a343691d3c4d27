"""Records and other results as files: whole or not at all."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json

from harness.abandoned import whole_file
from harness.errors import CorruptRecordError, first_problem
from harness.record.record import SCHEMA_VERSION, Record


def write_json_atomically(path: Path, text: str) -> None:
    """Write `text` so that a reader sees the old file or the whole new one.

    Raises:
        StorageError: The folder is not writable or the disk is full; nothing half-written stays.
    """
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_record(record: Record, path: Path) -> None:
    """Write one record atomically as JSON."""
    write_json_atomically(path, record.model_dump_json(indent=1) + "\n")


def read_record(path: Path) -> Record:
    """Read and validate one record.

    Raises:
        CorruptRecordError: Truncated, not a record, or of a schema this version does not know.
    """
    try:
        data = from_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise CorruptRecordError(
            f"{path} is not a readable record ({error}). Delete it and run its cell again."
        ) from error
    refuse_other_version(data, path, SCHEMA_VERSION)
    try:
        return Record.model_validate(data)
    except ValidationError as error:
        problem = first_problem(error)
        raise CorruptRecordError(
            f"{path} is not a valid record: {problem.where}: {problem.reason}. Delete it and run its cell again."
        ) from error


def refuse_other_version(data: Any, path: Path, known: int, unsaid: int | None = None) -> None:
    """See that a file is of the one version that is read, before anything else in it counts.

    Args:
        data: What the file holds.
        path: The file.
        known: The version that is read.
        unsaid: The version of a file that names none.

    Raises:
        CorruptRecordError: It is of another version.
    """
    fields = data if isinstance(data, dict) else {}
    version = fields.get("schema_version", unsaid)
    if version != known:
        writer = fields.get("harness_version")
        named = f" (harness {writer})" if isinstance(writer, str) else ""
        raise CorruptRecordError(
            f"{path} has schema_version {version!r}; this harness reads {known}. "
            f"Read it with the release that wrote it{named}, or delete it and run its cells again."
        )
