"""The life of the payload process: die with the harness, report a failure as data."""

import os
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

from .events import EventLog, failure_of
from .job import Job
from .lifeline import die_with_parent, read_nothing
from .phases import Phases

if TYPE_CHECKING:
    from .stack import Stack


def main(job_file: Path) -> int:
    """Run one job and return the exit code: 0 done, 1 the fine-tune raised."""
    die_with_parent()
    job = Job.read(job_file)
    if not job.paced:
        read_nothing()
    return run_job(job)


def run_job(job: Job, stack: "Stack | None" = None) -> int:
    """Run one job in this process, which is of no use for another.

    Args:
        job: What to do.
        stack: The libraries where they are imported already.
    """
    # As a fresh process finds it: the libraries set variables when they are imported.
    environment = dict(os.environ) if stack is None else stack.environment
    events = EventLog(job.events_file)
    phases = Phases(events)
    os.chdir(job.work_dir)
    try:
        if job.again is not None:
            from .again import run_again

            run_again(job, events, phases)
        elif job.paced:
            from .paced import train_as_ordered

            train_as_ordered(job, events, phases)
        else:
            from .finetune import run

            saved = run(job, events, phases, stack)
            if saved:
                from .afterwards import follow

                follow(job, saved, events, phases, environment)
    except BaseException as error:  # noqa: BLE001 - whatever ends the run is the result
        # C-level messages (allocator, glibc) went to stderr; the harness keeps its tail.
        events.emit("failure", **failure_of(error, phases.current))
        traceback.print_exc()
        return 1
    events.emit("done")
    return 0
