"""Run experiments on this machine, as many at once as asked, never one that is finished."""

from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime
from threading import Event

from harness.collect import Ending, build_record
from harness.dispatch.preloaded import PreloadedPool
from harness.dispatch.process import InterruptedRun, run_process
from harness.errors import StackBuildError
from harness.experiment import Experiment, build_inputs
from harness.hardware import Machine
from harness.progress import Progress
from harness.record import Failure, Record
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


@dataclass
class LocalDispatcher:
    """Places runs on this machine.

    Attributes:
        store: Where records are found and kept.
        machine: What this machine is.
        jobs: How many cells run at once.
        fresh: Run even what is finished.
        pool: Where preloaded experiments find their processes.
        memory_fraction: Share of the machine's memory that one cell may use, times 1 / jobs.
    """

    store: RecordStore
    machine: Machine
    progress: Progress
    jobs: int = 1
    fresh: bool = False
    pool: PreloadedPool | None = None
    memory_fraction: float = 0.9
    _cancel: Event = field(default_factory=Event)

    def run(self, runs: Sequence[Run]) -> Iterator[Result]:
        """Yield a result for each run as it is there; a run that fails yields a record that says so.

        Raises:
            KeyboardInterrupt: After every process is killed; results so far are in the store.
        """
        with ThreadPoolExecutor(max_workers=self.jobs) as pool:
            pending: set[Future[Result]] = {pool.submit(self._one, run) for run in runs}
            try:
                while pending:
                    done, pending = wait(pending, timeout=0.5, return_when=FIRST_COMPLETED)
                    yield from (future.result() for future in done)
            except BaseException as error:
                self._cancel.set()
                pool.shutdown(wait=True, cancel_futures=True)
                if isinstance(error, RuntimeError) and isinstance(
                    error.__context__, KeyboardInterrupt
                ):
                    # CPython: Ctrl-C within Condition.wait can end as "release unlocked lock".
                    raise KeyboardInterrupt from None
                raise

    def _one(self, run: Run) -> Result:
        with self.store.lock(run.experiment, run.repeat):
            if not self.fresh:
                found = self.store.finished(run.experiment, run.repeat)
                if found is not None:
                    self.progress.finished(run.label, found, reused=True)
                    return Result(run, found, reused=True)
            record = self._execute(run)
            self.store.save(run.experiment, record)
        self.progress.finished(run.label, record, reused=False)
        return Result(run, record, reused=False)

    def _execute(self, run: Run) -> Record:
        if self._cancel.is_set():
            raise InterruptedRun
        self.progress.started(run.label)
        try:
            python = build_inputs(run.experiment, self.progress.say)
        except StackBuildError as error:
            return self._not_started(run, str(error))
        return run_process(
            run.experiment,
            self.machine,
            run.repeat,
            python,
            int(self.machine.memory_bytes * self.memory_fraction / self.jobs),
            lambda event: self.progress.event(run.label, event),
            self._cancel,
            self.store.first_step(run.experiment, run.repeat),
            self.pool,
        )

    def _not_started(self, run: Run, message: str) -> Record:
        now = datetime.now(UTC).isoformat(timespec="seconds")
        ending = Ending(exit_code=None, duration_s=0.0, started_at=now, output_tail="")
        record = build_record(run.experiment, self.machine, run.repeat, [], ending)
        failure = Failure(phase="build", kind="StackBuildError", message=message)
        return record.model_copy(update={"status": "INFRA", "failure": failure})
