"""The life of the payload process: die with the harness, report a failure as data."""

import ctypes
import os
import signal
import sys
import traceback
from pathlib import Path

from .events import EventLog
from .job import Job
from .phases import Phases


def main(job_file: Path) -> int:
    """Run one job and return the exit code: 0 done, 1 the fine-tune raised."""
    _die_with_parent()
    job = Job.read(job_file)
    events = EventLog(job.events_file)
    phases = Phases(events)
    os.chdir(job.work_dir)
    try:
        from .finetune import run

        run(job, events, phases)
    except BaseException as error:  # noqa: BLE001 - whatever ends the run is the result
        # C-level messages (allocator, glibc) went to stderr; the harness keeps its tail.
        events.emit(
            "failure",
            phase=phases.current,
            kind=type(error).__name__,
            message=str(error)[:4000],
            traceback=traceback.format_exc()[-12000:],
        )
        traceback.print_exc()
        return 1
    events.emit("done")
    return 0


def _die_with_parent() -> None:
    """Ask the kernel to kill this process when the harness dies (Linux prctl PR_SET_PDEATHSIG)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL)
