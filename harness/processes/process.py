"""One payload process: started, watched, and ended, whatever it does."""

import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

from harness.abandoned import whole_file, work_folder
from harness.collect import build_record
from harness.containment.returned import open_returned, tail
from harness.ending import Ending, work_disk
from harness.errors import StorageError
from harness.events import Events
from harness.experiment import FIRST_STEP_FILE, Experiment
from harness.hardware import Machine
from harness.processes.conditions_watch import ConditionsWatch
from harness.processes.payload import PayloadProcess, Setting, start_payload
from harness.processes.preloaded import CannotPreload, Preloaded, PreloadedPool
from harness.processes.watch import InterruptedRun, OnEvent, Watch
from harness.record import Record

OUTPUT_TAIL = 6000
"""Bytes of a payload's output that are kept."""
_LEAST_FREE = 64 * 1024
"""Bytes of a disk that count as none."""


def run_process(
    experiment: Experiment,
    machine: Machine,
    repeat: int,
    python: Path,
    memory_limit: int,
    on_event: OnEvent,
    cancel: Event,
    first_step: Path,
    pool: PreloadedPool | None = None,
) -> Record:
    """Run one experiment once and return its record, finished or not.

    Args:
        experiment: Its inputs must be built.
        machine: For the record.
        repeat: Which repetition this is, from 0.
        python: The stack's interpreter.
        memory_limit: Bytes of resident memory at which the process tree is killed (status OOM).
        on_event: Called with each event as it arrives.
        cancel: When set, the process is killed.
        first_step: Where the first step's tensors are kept, if the experiment takes them.
        pool: Where an experiment that is preloaded finds its process; without, it starts a fresh one.

    Raises:
        InterruptedRun: `cancel` was set.
        StorageError: Its work folder cannot be made or written.
        ContainmentError: It cannot be contained as the user asks.
    """
    rest = (experiment, machine, repeat, memory_limit, on_event, cancel, first_step)
    if experiment.preloaded and pool is not None:
        try:
            with pool.lend(experiment, python, cancel) as preloaded:
                return _run(preloaded, *rest)
        except CannotPreload:
            pass  # A fresh process is slower, and no different.
        except InterruptedError:
            raise InterruptedRun from None
    with fresh(experiment, python) as place:
        return _run(place, *rest)


def _run(
    place: "Fresh | Preloaded",
    experiment: Experiment,
    machine: Machine,
    repeat: int,
    memory_limit: int,
    on_event: OnEvent,
    cancel: Event,
    first_step: Path,
) -> Record:
    setting, output = place.setting, place.setting.work_dir / "output.txt"
    try:
        job_file, events_file = experiment.write_job(setting.work_dir)
    except OSError as error:
        raise StorageError(work_disk(error.strerror or str(error))) from error
    started_at = datetime.now(UTC).isoformat(timespec="seconds")
    oom_kills, events = _oom_kills(), Events(events_file)
    # Before the process: what is on the GPU then is not the cell's.
    with closing(ConditionsWatch(experiment.target.gpu_uuid)) as conditions:
        start = time.monotonic()
        try:
            process = place.start(job_file, output)
        except OSError as error:
            raise StorageError(work_disk(error.strerror or str(error))) from error
        watch = Watch(process, setting, events, memory_limit, on_event, conditions)
        try:
            hit = watch.wait(experiment.timeout_s, cancel)
        finally:
            code = process.end()
        # What it said between the last look and its end.
        hit = hit or watch.pass_on()
    ending = Ending(
        exit_code=code,
        duration_s=time.monotonic() - start,
        started_at=started_at,
        output_tail=tail(output, OUTPUT_TAIL),
        hit=hit,
        disk_full=_is_full(setting.work_dir),
        oom_killer=code == -signal.SIGKILL and _oom_kills() > oom_kills,
    )
    _keep(setting.work_dir / FIRST_STEP_FILE, first_step)
    record = build_record(experiment, machine, repeat, events.seen, ending)
    return record.model_copy(
        update={
            "preloaded": isinstance(place, Preloaded),
            "conditions": conditions.seen,
            "containment": setting.containment,
        }
    )


@dataclass(frozen=True)
class Fresh:
    """A folder of its own, and a process that imports everything."""

    setting: Setting

    def start(self, job_file: Path, output: Path) -> PayloadProcess:
        """Start the payload."""
        with output.open("wb") as handle:
            return start_payload(
                self.setting,
                job_file,
                stdin=subprocess.PIPE,  # How a payload that has just started knows that we live.
                stdout=handle,
                stderr=subprocess.STDOUT,
            )


@contextmanager
def fresh(experiment: Experiment, python: Path) -> Iterator[Fresh]:
    """Give a folder that is gone afterwards."""
    with work_folder("cell") as folder:
        yield Fresh(Setting.of(experiment, python, folder))


def _keep(file: Path, target: Path) -> None:
    # A copy, for it may cross file systems.
    try:
        returned = open_returned(file)
    except OSError:
        return  # There is none, or something else: it is missed where it is read.
    with returned, whole_file(target) as copy, copy.open("wb") as kept:
        shutil.copyfileobj(returned, kept)


def _is_full(folder: Path) -> bool:
    try:
        return shutil.disk_usage(folder).free < _LEAST_FREE
    except OSError:
        return False


def _oom_kills() -> int:
    """Return how often the kernel's out-of-memory killer struck since boot (Linux), else 0."""
    try:
        lines = Path("/proc/vmstat").read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
