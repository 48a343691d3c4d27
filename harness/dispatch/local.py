"""Run experiments on this machine, as many at once as fit, never one that is finished."""

from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from queue import SimpleQueue
from threading import Event

from filelock import Timeout

from harness.collect import record_unstarted
from harness.containment.choice import choose, weakness
from harness.dispatch import expectation
from harness.dispatch.dispatcher import Result, Run, make_way, reuse
from harness.dispatch.place import Place
from harness.dispatch.placement import Placement, Start
from harness.errors import HarnessError, StackBuildError, StorageError
from harness.experiment import build_inputs
from harness.hardware import Machine
from harness.processes.preloaded import PreloadedPool
from harness.processes.process import run_process
from harness.processes.watch import InterruptedRun
from harness.progress import Progress
from harness.record import Record
from harness.store import RecordStore

HERE = "this machine"
_WAIT_S = 1.0
"""How often a run that waits for another harness looks whether it was cancelled."""


@dataclass
class LocalDispatcher:
    """Places runs on this machine.

    Attributes:
        store: Where records are found and kept.
        machine: What this machine is.
        jobs: How many cells run at once, where memory and GPUs allow it.
        threads: CPU threads of one cell.
        fresh: Run even what is finished.
        pool: Where preloaded experiments find their processes.
        per_gpu: Cells that share a GPU.
        memory_fraction: Share of the machine's memory that all cells together may use.
    """

    store: RecordStore
    machine: Machine
    progress: Progress
    jobs: int = 1
    threads: int = 1
    fresh: bool = False
    pool: PreloadedPool | None = None
    per_gpu: int = 1
    memory_fraction: float = 0.9
    _cancel: Event = field(default_factory=Event)
    _built: "SimpleQueue[int]" = field(default_factory=SimpleQueue)

    def run(self, runs: Sequence[Run]) -> Iterator[Result]:
        """Yield a result for each run as it is there; see `Dispatcher.run`."""
        left = []
        for run in runs:
            found = None if self.fresh else reuse(run, self.store, self.progress)
            if found is None:
                left.append(run)
            else:
                yield found
        yield from self._run(left)

    def _run(self, runs: Sequence[Run]) -> Iterator[Result]:
        # Before anything is built: a containment that is asked for may not work here.
        for on_gpu in sorted({run.experiment.target.on_gpu for run in runs}):
            if said := weakness(choose(on_gpu=on_gpu)):
                self.progress.say(said)
        place = self._place()
        share = place.memory_bytes // self.jobs
        needs = expectation.needs(runs, self.store.folder, place.cpu, share)
        placement = Placement([place], dict(enumerate(needs)))
        running: dict[Future[Result], int] = {}
        with ThreadPoolExecutor(max_workers=self.jobs) as pool:
            try:
                while placement.waiting or running:
                    while (start := placement.start()) is not None:
                        running[pool.submit(self._one, runs[start.key], start)] = start.key
                    done = wait(running, timeout=0.5, return_when=FIRST_COMPLETED).done
                    while not self._built.empty():
                        placement.built(self._built.get())
                    for future in done:
                        placement.end(running.pop(future))
                    yield from (future.result() for future in done)
            except BaseException as error:
                self._cancel.set()
                pool.shutdown(wait=True, cancel_futures=True)
                if _comes_of_ctrl_c(error):
                    raise KeyboardInterrupt from None
                raise

    def _place(self) -> Place:
        return Place(
            HERE,
            expectation.cpu_name(self.machine.cpu),
            self.jobs * self.threads,
            int(self.machine.memory_bytes * self.memory_fraction),
            {gpu.uuid: gpu.name for gpu in self.machine.gpus},
            self.per_gpu,
        )

    def _one(self, run: Run, start: Start[int]) -> Result:
        with self._alone(run):
            make_way(run, self.store, self.progress)
            # Another harness may have finished it by now.
            found = None if self.fresh else reuse(run, self.store, self.progress)
            if found is not None:
                return found
            record = self._execute(run, start)
            self.store.save(run.experiment, record)
        self.progress.finished(run.label, record, reused=False)
        return Result(run, record, reused=False)

    @contextmanager
    def _alone(self, run: Run) -> Iterator[None]:
        """Hold the run's lock; say so where another harness has it, and heed a Ctrl-C meanwhile."""
        lock = self.store.lock(run.experiment, run.repeat)
        waits = 0
        while True:
            try:
                lock.acquire(timeout=_WAIT_S)
                break
            except Timeout:
                if self._cancel.is_set():
                    raise InterruptedRun from None
            except OSError as error:
                raise StorageError(
                    f"cannot lock {lock.lock_file}: {error.strerror}. Free some space, or choose another "
                    "folder with HARNESS_REPORTS."
                ) from error
            waits += 1
            if waits == 1:
                self.progress.say(f"{run.label}: another harness runs it; waiting for its record")
        try:
            yield
        finally:
            lock.release()

    def _execute(self, run: Run, start: Start[int]) -> Record:
        if self._cancel.is_set():
            raise InterruptedRun
        self.progress.started(run.label)
        experiment = run.experiment
        try:
            python = build_inputs(experiment, self.progress.say)
        except (StackBuildError, StorageError) as error:
            return self._unstarted(run, error, "build")
        self._built.put(start.key)
        if start.gpu is not None:
            # Of several cards of one kind, the one that is free.
            experiment = replace(experiment, target=replace(experiment.target, gpu_uuid=start.gpu))
        try:
            return run_process(
                experiment,
                self.machine,
                run.repeat,
                python,
                start.memory_bytes,
                lambda event: self.progress.event(run.label, event),
                self._cancel,
                self.store.first_step(run.experiment, run.repeat),
                self.pool,
            )
        except StorageError as error:
            return self._unstarted(run, error, "start")

    def _unstarted(self, run: Run, error: HarnessError, phase: str) -> Record:
        kind = type(error).__name__
        return record_unstarted(run.experiment, self.machine, run.repeat, str(error), kind, phase)


def _comes_of_ctrl_c(error: BaseException | None) -> bool:
    """Whether an error was raised while Ctrl-C was handled.

    CPython: within Condition.wait it can end as "release unlocked lock", and on the way out as more of them.
    """
    while error is not None:
        if isinstance(error, KeyboardInterrupt):
            return True
        error = error.__context__
    return False
