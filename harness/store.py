"""Records on disk: found again, never half-written, safe for two harnesses at once."""

from pathlib import Path

from filelock import FileLock

from harness import abandoned
from harness.errors import CorruptRecordError, StorageError
from harness.experiment import Experiment, Extra
from harness.record import Record, read_record, write_record

_UNREADABLE = "unreadable"


class RecordStore:
    """A folder of records, one file for each run of an experiment."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, experiment: Experiment, repeat: int) -> Path:
        """Return where the record of a run is, or would be."""
        name = f"{experiment.key}.json" if repeat == 0 else f"{experiment.key}.{repeat}.json"
        return self.folder / experiment.cell.slug / name

    def first_step(self, experiment: Experiment, repeat: int) -> Path:
        """Return where the first step's tensors of a run are, or would be: beside its record."""
        return self.path(experiment, repeat).with_suffix(".safetensors")

    def finished(
        self, experiment: Experiment, repeat: int, *, or_crashed: bool = False
    ) -> Record | None:
        """Return the record of a run that completed, None if there is none or it is unreadable.

        A crash, a timeout and a record that cannot be read are all worth another try.

        Args:
            experiment: What was run.
            repeat: Which repetition.
            or_crashed: A run that raised an error of its own, or ran out of memory, is finished, too: for a
                search that goes on where it was stopped.
        """
        path = self.path(experiment, repeat)
        if not path.exists():
            return None
        if (
            Extra.FIRST_STEP in experiment.extras
            and not self.first_step(experiment, repeat).exists()
        ):
            return None
        try:
            record = read_record(path)
        except CorruptRecordError:
            return None
        finished = ("COMPLETED", "CRASHED", "OOM") if or_crashed else ("COMPLETED",)
        return record if record.status in finished else None

    def save(self, experiment: Experiment, record: Record) -> None:
        """Write a record.

        Raises:
            StorageError: Disk full or folder not writable.
        """
        write_record(record, self.path(experiment, record.repeat))

    def make_way(self, experiment: Experiment, repeat: int) -> str | None:
        """Clear the place of a record that is about to be written; call it with the run's lock only.

        What a killed harness left half-written is removed. A file that is no record is renamed, so that
        the record of another try does not replace it: it may be of a later version of the harness, or
        tell somebody what happened.

        Returns:
            What was renamed and why, if anything.

        Raises:
            StorageError: It cannot be renamed.
        """
        path = self.path(experiment, repeat)
        abandoned.remove_files([path.parent])
        if not path.exists():
            return None
        try:
            read_record(path)
        except CorruptRecordError as error:
            return f"{error} It is {self._set_aside(path).name} now, and the cell runs again."
        return None

    def _set_aside(self, path: Path) -> Path:
        aside = path.with_suffix(f".{_UNREADABLE}")
        number = 1
        while aside.exists():
            number += 1
            aside = path.with_suffix(f".{number}.{_UNREADABLE}")
        try:
            path.rename(aside)
        except OSError as error:
            raise StorageError(
                f"{path} is no record and cannot be moved aside: {error.strerror}. Move it yourself."
            ) from error
        return aside

    def lock(self, experiment: Experiment, repeat: int) -> FileLock:
        """Return the lock that keeps two harnesses from running the same thing at once.

        Raises:
            StorageError: Its folder cannot be made.
        """
        path = self.path(experiment, repeat).with_suffix(".lock")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(
                f"cannot keep records in {path.parent}: {error.strerror}. HARNESS_REPORTS chooses another "
                "folder than ./reports."
            ) from error
        return FileLock(path)
