"""Reports: verdicts and records in, pages out; nothing here judges or trains.

A folder holds `report.html` for a reviewer, `summary.md` for a job summary or a pull request, and
`result.json`, from which all is rendered again; `benchmark.json` is for `pytest-benchmark compare`.
"""

from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import from_json

from harness.errors import CorruptRecordError, InputError, first_problem
from harness.gate import RESULT_VERSION, GateResult
from harness.record import refuse_other_version, write_json_atomically
from harness.reports import benchmark, html, markdown, releases, releases_data

RESULT_NAME = "result.json"
PAGE_NAME = "report.html"
SUMMARY_NAME = "summary.md"
BENCHMARK_NAME = "benchmark.json"


class WrittenResult(GateResult):
    """A result with what is derived from it for those who read JSON; `load` leaves it aside."""

    releases: dict[str, Any]
    """The comparison of the releases in the run."""


def write(result: GateResult, folder: Path) -> list[Path]:
    """Write the result and what is rendered from it, each file atomically, the result first.

    Returns:
        The files written: result, page, summary, benchmark.

    Raises:
        StorageError: The folder cannot be written; no half-written file stays.
    """
    comparison = releases.view(result)
    written = WrittenResult(**dict(result), releases=releases_data.as_data(result, comparison))
    contents = {
        RESULT_NAME: written.model_dump_json(indent=1) + "\n",
        PAGE_NAME: html.render(result, comparison=comparison),
        SUMMARY_NAME: markdown.render(result, comparison=comparison),
        BENCHMARK_NAME: benchmark.render(result),
    }
    for name, text in contents.items():
        write_json_atomically(folder / name, text)
    return [folder / name for name in contents]


def is_run(folder: Path) -> bool:
    """Whether a folder holds the result of a run."""
    return (folder / RESULT_NAME).is_file()


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
        data = from_json(path.read_bytes())
    except OSError as error:
        raise InputError(
            f"{path} cannot be read: {error.strerror}. Check its permissions."
        ) from error
    except ValueError as error:
        raise _unreadable(path, "the whole file", str(error)) from error
    refuse_other_version(data, path, RESULT_VERSION, unsaid=1)
    try:
        return GateResult.model_validate(data)
    except ValidationError as error:
        problem = first_problem(error, "the whole file")
        raise _unreadable(path, problem.where, problem.reason) from error


def _unreadable(path: Path, where: str, reason: str) -> CorruptRecordError:
    return CorruptRecordError(
        f"{path} is not a result that this harness reads: {where}: {reason}. "
        "Render it with the release that wrote it, or run the cells again."
    )
