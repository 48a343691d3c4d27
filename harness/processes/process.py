"""One payload process: started, watched, and ended, whatever it does."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any, Literal

import psutil

from harness.abandoned import whole_file, work_folder
from harness.collect import Ending, build_record, read_events, work_disk
from harness.errors import StorageError
from harness.experiment import FIRST_STEP_FILE, Experiment
from harness.hardware import Machine
from harness.processes.conditions_watch import ConditionsWatch
from harness.processes.preloaded import CannotPreload, Child, Preloaded, PreloadedPool
from harness.processes.surroundings import start_payload
from harness.record import Record

OnEvent = Callable[[dict[str, Any]], None]

_POLL_S = 0.1
_MEMORY_POLL_S = 1.0
_OUTPUT_TAIL = 6000
_LEAST_FREE = 64 * 1024
"""Bytes of a disk that count as none."""


class InterruptedRun(Exception):  # noqa: N818 - not an error: the user asked for it
    """The run was cancelled from outside; it leaves no record."""


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
    work_dir = place.work_dir
    try:
        job_file, events_file = experiment.write_job(work_dir)
    except OSError as error:
        raise StorageError(work_disk(error.strerror or str(error))) from error
    started_at = datetime.now(UTC).isoformat(timespec="seconds")
    oom_kills = _oom_kills()
    # Before the process: what is on the GPU then is not the cell's.
    with closing(ConditionsWatch(experiment.target.gpu_uuid)) as conditions:
        start = time.monotonic()
        try:
            process = place.start(job_file, work_dir / "output.txt")
        except OSError as error:
            raise StorageError(work_disk(error.strerror or str(error))) from error
        watch = _Watch(process, events_file, on_event, conditions)
        try:
            limit, limit_text = watch.wait(experiment.timeout_s, memory_limit, cancel)
        finally:
            kill_group(process)
    ending = Ending(
        exit_code=process.returncode,
        duration_s=time.monotonic() - start,
        started_at=started_at,
        output_tail=tail(work_dir / "output.txt"),
        limit=limit,
        limit_text=limit_text,
        disk_full=_is_full(work_dir),
        oom_killer=process.returncode == -signal.SIGKILL and _oom_kills() > oom_kills,
    )
    if (work_dir / FIRST_STEP_FILE).exists():
        _keep(work_dir / FIRST_STEP_FILE, first_step)
    record = build_record(experiment, machine, repeat, read_events(events_file)[0], ending)
    return record.model_copy(
        update={"preloaded": isinstance(place, Preloaded), "conditions": conditions.seen}
    )


@dataclass(frozen=True)
class Fresh:
    """A folder of its own, and a process that imports everything."""

    work_dir: Path
    python: Path
    threads: int
    gpu_uuid: str | None

    def start(self, job_file: Path, output: Path) -> "subprocess.Popen[bytes]":
        """Start the payload."""
        with output.open("wb") as handle:
            return start_payload(
                self.python,
                job_file,
                work_dir=self.work_dir,
                threads=self.threads,
                gpu_uuid=self.gpu_uuid,
                stdin=subprocess.PIPE,  # How a payload that has just started knows that we live.
                stdout=handle,
                stderr=subprocess.STDOUT,
            )


@contextmanager
def fresh(experiment: Experiment, python: Path) -> Iterator[Fresh]:
    """Give a folder that is gone afterwards."""
    with work_folder("cell") as folder:
        yield Fresh(folder, python, experiment.threads, experiment.target.gpu_uuid)


def _keep(file: Path, target: Path) -> None:
    # A copy, for it may cross file systems.
    with whole_file(target) as copy:
        shutil.copyfile(file, copy)


class _Watch:
    """Follows a process's events, time and memory until it ends."""

    def __init__(
        self,
        process: "subprocess.Popen[bytes] | Child",
        events: Path,
        on_event: OnEvent,
        conditions: ConditionsWatch,
    ) -> None:
        self._process = process
        self._events = events
        self._on_event = on_event
        self._conditions = conditions
        self._read = 0

    def wait(
        self, timeout_s: float, memory_limit: int, cancel: Event
    ) -> tuple[Literal["time", "memory"] | None, str]:
        deadline = time.monotonic() + timeout_s
        next_look = 0.0
        while self._process.poll() is None:
            self._pass_on()
            self._conditions.look()
            now = time.monotonic()
            if now > deadline:
                return "time", f"still running after {timeout_s:g} s"
            if now > next_look:
                used = _resident(self._process.pid)
                if used > memory_limit:
                    return "memory", (
                        f"used {used / 2**30:.1f} GiB of resident memory, "
                        f"more than the {memory_limit / 2**30:.1f} GiB allowed"
                    )
                next_look = now + _MEMORY_POLL_S
            if cancel.wait(_POLL_S):
                raise InterruptedRun
        self._pass_on()
        return None, ""

    def _pass_on(self) -> None:
        events, self._read = read_events(self._events, self._read)
        for event in events:
            self._conditions.event(event)
            self._on_event(event)


def _resident(pid: int) -> int:
    try:
        root = psutil.Process(pid)
        return sum(_rss(process) for process in (root, *root.children(recursive=True)))
    except psutil.NoSuchProcess:
        return 0


def _rss(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def kill_group(process: "subprocess.Popen[bytes] | Child") -> None:
    """Kill a payload and all it started, and wait for its end."""
    # The whole session: a payload's own children must not outlive it.
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
    process.wait()
    if process.stdin is not None:
        process.stdin.close()


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


def tail(path: Path) -> str:
    """Return the end of a payload's output."""
    data = path.read_bytes()[-_OUTPUT_TAIL:] if path.exists() else b""
    return data.decode("utf-8", errors="replace")
