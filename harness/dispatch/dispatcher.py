"""What places runs: one method, whatever the machines are behind it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from harness.experiment import Experiment
from harness.progress import Progress
from harness.record import Record
from harness.store import RecordStore


@dataclass(frozen=True)
class Run:
    """One repetition of an experiment to be had: from the store, or by running it."""

    experiment: Experiment
    repeat: int = 0

    @property
    def label(self) -> str:
        """The cell's id, with what tells it from other runs of the cell: fault, extras, repetition."""
        fault, extras = self.experiment.fault_file, sorted(self.experiment.extras)
        label = self.experiment.cell.id + (f" with {fault.stem}" if fault else "")
        label += f" + {', '.join(extras)}" if extras else ""
        return label + (f" (repeat {self.repeat})" if self.repeat else "")


@dataclass
class Result:
    """A record, and whether it was measured by an earlier run."""

    run: Run
    record: Record
    reused: bool


class Dispatcher(Protocol):
    """Runs what is not finished, somewhere, and keeps every record."""

    def run(self, runs: Sequence[Run]) -> Iterator[Result]:
        """Yield a result for each run as it is there; a run that fails yields a record that says so.

        Raises:
            KeyboardInterrupt: After every process is ended; results so far are in the store.
        """
        ...


def make_way(run: Run, store: RecordStore, progress: Progress) -> None:
    """Clear the place of a run's record, and say what was there; call it with the run's lock only."""
    if said := store.make_way(run.experiment, run.repeat):
        progress.say(said)


def reuse(run: Run, store: RecordStore, progress: Progress) -> Result | None:
    """Return the finished record of a run, if there is one."""
    found = store.finished(run.experiment, run.repeat)
    if found is None:
        return None
    progress.finished(run.label, found, reused=True)
    return Result(run, found, reused=True)
