"""Reports: verdicts and records in, pages out; nothing here judges or trains.

A folder holds `report.html` for a reviewer, `summary.md` for a job summary or a pull request, and
`result.json`, from which both are rendered again.
"""

import contextlib
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from pydantic import ValidationError

from harness.errors import CorruptRecordError, InputError, StorageError
from harness.gate import GateResult
from harness.record import write_json_atomically
from harness.reports import html, markdown

RESULT_NAME = "result.json"
PAGE_NAME = "report.html"
SUMMARY_NAME = "summary.md"


def new_folder(parent: Path, started: datetime) -> Path:
    """Create the folder of one run, `runs/20261124T081000Z`, and point `latest` to it.

    Runs that start in the same second get folders of their own.

    Raises:
        StorageError: The folder cannot be created.
    """
    stem = started.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    for serial in count(1):
        folder = parent / "runs" / (stem if serial == 1 else f"{stem}-{serial}")
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            if folder.is_dir():
                continue
            raise _cannot_create(folder, "a file is in the way") from None
        except OSError as error:
            raise _cannot_create(folder, error.strerror) from error
        _point(parent / "latest", folder)
        return folder
    raise AssertionError("unreachable")


def write(result: GateResult, folder: Path) -> list[Path]:
    """Write the result and both pages, each file atomically, the result first.

    Returns:
        The files written: result, page, summary.

    Raises:
        StorageError: The folder cannot be written; no half-written file stays.
    """
    contents = {
        RESULT_NAME: result.model_dump_json(indent=1) + "\n",
        PAGE_NAME: html.render(result),
        SUMMARY_NAME: markdown.render(result),
    }
    for name, text in contents.items():
        write_json_atomically(folder / name, text)
    return [folder / name for name in contents]


def load(folder: Path) -> GateResult:
    """Read the result of an earlier run, to render it again without judging it again.

    Raises:
        InputError: The folder holds no result.
        CorruptRecordError: The result is truncated, or of a schema this version does not know.
    """
    path = folder / RESULT_NAME
    if not path.is_file():
        raise InputError(
            f"{path} does not exist. Name the folder that `harness run` reported to have written; "
            f"it holds a {RESULT_NAME}."
        )
    try:
        return GateResult.model_validate_json(path.read_bytes())
    except OSError as error:
        raise InputError(
            f"{path} cannot be read: {error.strerror}. Check its permissions."
        ) from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the whole file"
        raise CorruptRecordError(
            f"{path} is not a result that this harness reads: {where}: {first['msg']}. "
            "Render it with the release that wrote it, or run the cells again."
        ) from error


def _cannot_create(folder: Path, why: str | None) -> StorageError:
    return StorageError(f"cannot create {folder}: {why}. Set HARNESS_REPORTS to another folder.")


def _point(link: Path, folder: Path) -> None:
    """Replace the link in one step; a convenience, so that a file system without links is fine."""
    temporary = link.with_name(f".{link.name}.{folder.name}")
    with contextlib.suppress(OSError):
        temporary.symlink_to(folder.relative_to(link.parent), target_is_directory=True)
        try:
            temporary.replace(link)
        finally:
            temporary.unlink(missing_ok=True)
