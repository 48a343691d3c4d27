"""Approved figures of a cell: what throughput and memory are compared with.

A baseline is one JSON file of figures, small enough to review in a diff, named after its cell. It
holds the keys that make a run comparable, the figures of each approved repeat, and per figure the
band in which one further run of the same experiment falls.
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from harness.bands import MIN_REPEATS, Band, close, derive_bands
from harness.errors import CorruptRecordError, HarnessError, first_problem
from harness.figures import all_figures
from harness.record import Record, write_json_atomically


class BaselineError(HarnessError, ValueError):
    """Records that must not become a baseline."""

    exit_code: ClassVar[int] = 20


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Comparable(_Data):
    """The keys that must be equal before two speeds or two memory peaks may be compared.

    The release is not among them: it is what the comparison is about.
    """

    recipe_digest: str
    dtype_request: str
    stack_family: str
    hardware: str
    hardware_kind: str
    device: str
    threads: int
    parallel_cells: int
    preloaded: bool = False

    @classmethod
    def of(cls, record: Record) -> Self:
        """Read the keys from a record."""
        return cls(
            recipe_digest=record.recipe_digest,
            dtype_request=record.dtype_request,
            stack_family=record.stack.family,
            hardware=record.hardware.name,
            hardware_kind=record.hardware.kind,
            device=record.hardware.device,
            threads=record.hardware.threads,
            parallel_cells=record.hardware.parallel_cells,
            preloaded=record.preloaded,
        )

    def differences(self, other: "Comparable") -> dict[str, tuple[Any, Any]]:
        """Return key -> (value here, value there) for every key that differs."""
        here, there = self.model_dump(), other.model_dump()
        return {key: (here[key], there[key]) for key in here if here[key] != there[key]}


class Run(_Data):
    """The figures of one approved repeat."""

    started_at: str
    repeat: int
    release: str
    lock_digest: str
    harness_version: str
    eval_losses: tuple[float, ...]
    figures: dict[str, float]
    """Rates per second (`tokens_per_s`) and bytes (`peak_rss.train`), as in `harness.figures`."""


class Baseline(_Data):
    """Approved repeats of one experiment and the band of each figure that all of them have."""

    schema_version: Literal[1] = 1
    cell_id: str
    key: str
    comparable: Comparable
    runs: tuple[Run, ...]
    bands: dict[str, Band]

    @model_validator(mode="after")
    def _bands_follow_from_runs(self) -> Self:
        expected = derive_bands([run.figures for run in self.runs])
        for name in expected.keys() | self.bands.keys():
            stored, derived = self.bands.get(name), expected.get(name)
            if stored is None or derived is None or not close(stored, derived):
                raise ValueError(
                    f"the band of {name} ({stored}) is not that of its runs ({derived})"
                )
        return self


def from_records(records: Sequence[Record]) -> Baseline:
    """Make a baseline of repeats of one experiment.

    Raises:
        BaselineError: A record is faulted, did not complete or has a non-finite eval_loss; there
            are fewer than three repeats; or they are not repeats of one experiment.
    """
    for record in records:
        _refuse_unfit(record)
    if len({(record.repeat, record.started_at) for record in records}) < MIN_REPEATS:
        raise BaselineError(
            f"a baseline needs {MIN_REPEATS} different repeats, got {len(records)} record(s). "
            "Run the cell again with more repeats."
        )
    first = records[0]
    for record in records[1:]:
        if record.key != first.key or record.cell_id != first.cell_id:
            raise BaselineError(
                f"these are not repeats of one experiment: {first.cell_id} (key {first.key}) and "
                f"{record.cell_id} (key {record.key}). Give records of one cell and one stack."
            )
        for key, (here, there) in Comparable.of(first).differences(Comparable.of(record)).items():
            raise BaselineError(
                f"{first.cell_id}: the repeats differ in {key}: {here!r} and {there!r}. Run all of "
                "them on one machine in one way."
            )
    runs = tuple(
        Run(
            started_at=record.started_at,
            repeat=record.repeat,
            release=record.stack.release,
            lock_digest=record.stack.lock_digest,
            harness_version=record.harness_version,
            eval_losses=tuple(record.eval_losses),
            figures=all_figures(record),
        )
        for record in records
    )
    return Baseline(
        cell_id=first.cell_id,
        key=first.key,
        comparable=Comparable.of(first),
        runs=runs,
        bands=derive_bands([run.figures for run in runs]),
    )


def _refuse_unfit(record: Record) -> None:
    name = f"{record.cell_id} repeat {record.repeat}"
    if record.fault is not None:
        raise BaselineError(f"{name} ran with the fault {record.fault!r} injected. Run it without.")
    if record.extras:
        raise BaselineError(
            f"{name} ran with the extras {', '.join(record.extras)}, which take time. Run it without."
        )
    if record.preloaded:
        raise BaselineError(
            f"{name} was forked from a process that had imported its stack. Run it in a fresh one."
        )
    if record.status != "COMPLETED":
        raise BaselineError(f"{name} ended as {record.status}. Only completed runs are approved.")
    if not record.eval_losses or not all(map(math.isfinite, record.eval_losses)):
        raise BaselineError(
            f"{name} has eval_loss {record.eval_losses}: missing or not finite. "
            "See its verdicts first; a broken run is not a reference."
        )


def baseline_path(cell_id: str, folder: Path) -> Path:
    """Return where the baseline of a cell is kept."""
    return folder / f"{cell_id.replace('/', '__')}.json"


def write(baseline: Baseline, folder: Path) -> Path:
    """Write a baseline atomically and return its path.

    Raises:
        StorageError: The folder is not writable or the disk is full.
    """
    path = baseline_path(baseline.cell_id, folder)
    write_json_atomically(path, baseline.model_dump_json(indent=1) + "\n")
    return path


def load(cell_id: str, folder: Path) -> Baseline | None:
    """Load the baseline of a cell, or None when it has none.

    Raises:
        CorruptRecordError: The file is unreadable, of another schema or cell, or its bands were
            edited by hand.
    """
    path = baseline_path(cell_id, folder)
    if not path.exists():
        return None
    advice = "Restore the file from version control or approve the cell's records again."
    try:
        baseline = Baseline.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        problem = first_problem(error, "baseline")
        raise CorruptRecordError(
            f"{path} is not a valid baseline: {problem.where}: {problem.reason}. {advice}"
        ) from error
    except (OSError, ValueError) as error:
        raise CorruptRecordError(
            f"{path} is not a readable baseline ({error}). {advice}"
        ) from error
    if baseline.cell_id != cell_id:
        raise CorruptRecordError(
            f"{path} holds the baseline of {baseline.cell_id}, not of {cell_id}. {advice}"
        )
    return baseline
