"""Records on disk: found again, never half-written, safe for two harnesses at once."""

from pathlib import Path

from filelock import FileLock

from harness.errors import CorruptRecordError
from harness.experiment import Experiment, Extra
from harness.record import Record, read_record, write_record


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

    def lock(self, experiment: Experiment, repeat: int) -> FileLock:
        """Return the lock that keeps two harnesses from running the same thing at once."""
        path = self.path(experiment, repeat).with_suffix(".lock")
        path.parent.mkdir(parents=True, exist_ok=True)
        return FileLock(path)
