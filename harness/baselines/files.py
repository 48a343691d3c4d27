"""Baselines on disk: one folder a machine, one reviewable JSON file an experiment."""

import json
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from harness.baselines.baseline import Baseline, Comparable, experiment_of
from harness.errors import CorruptRecordError, first_problem
from harness.recipe import digest
from harness.record import Record, write_json_atomically

_LONGEST_NAME = 160  # of 255 bytes
_ADVICE = "Restore the file from version control or approve the cell's runs again."


def baseline_path(experiment: str, machine: str, folder: Path) -> Path:
    """Return where the baseline of an experiment on a machine is kept.

    Args:
        experiment: As in `Baseline.experiment`.
        machine: As in `Comparable.machine`.
        folder: Of all baselines.
    """
    name = experiment.replace("/", "__")
    if len(name) > _LONGEST_NAME:
        name = f"{name[:_LONGEST_NAME]}-{digest(name)}"
    return folder / machine / f"{name}.json"


def write(baseline: Baseline, folder: Path) -> Path:
    """Write a baseline atomically and return its path.

    Raises:
        StorageError: The folder is not writable or the disk is full.
    """
    path = baseline_path(baseline.experiment, baseline.comparable.machine, folder)
    write_json_atomically(path, baseline.model_dump_json(indent=1) + "\n")
    return path


def find(record: Record, folder: Path) -> Baseline | None:
    """Return the baseline that a record is compared with, or None when its machine has none.

    Raises:
        CorruptRecordError: As `load` does.
    """
    experiment = experiment_of(record.cell_id, record.stack.family)
    path = baseline_path(experiment, Comparable.of(record).machine, folder)
    return load(path, folder) if path.exists() else None


def machines(experiment: str, folder: Path) -> tuple[str, ...]:
    """Return the machines that have a baseline of an experiment."""
    name = baseline_path(experiment, "", folder).name
    return tuple(sorted(path.parent.name for path in _files(folder) if path.name == name))


def load_all(folder: Path) -> Iterator[Baseline]:
    """Yield every baseline of a folder, by machine and name.

    Raises:
        CorruptRecordError: As `load` does.
    """
    for path in sorted(_files(folder)):
        yield load(path, folder)


def load(path: Path, folder: Path) -> Baseline:
    """Load a baseline from its file.

    Raises:
        CorruptRecordError: The file is unreadable, of another schema, is not where its own keys say,
            or its bands were edited by hand.
    """
    try:
        baseline = Baseline.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        problem = first_problem(error, "baseline")
        raise CorruptRecordError(
            f"{path} is not a valid baseline: {problem.where}: {problem.reason}. {_ADVICE}"
        ) from error
    except (OSError, ValueError) as error:
        raise CorruptRecordError(
            f"{path} is not a readable baseline ({error}). {_ADVICE}"
        ) from error
    machine = baseline.comparable.machine
    if path != baseline_path(baseline.experiment, machine, folder):
        raise CorruptRecordError(
            f"{path} holds the baseline of {baseline.experiment} on {machine}. {_ADVICE}"
        )
    return baseline


def _files(folder: Path) -> Iterator[Path]:
    return folder.glob("*/*.json")
