"""One process that imports a stack once, and forks a child for each job.

`python <this folder> --preload spec.json`; orders come in on stdin and answers leave on stdout, one JSON
object a line: `{"unsafe": ""}` once the stack is imported, then for each `{"job": ..., "output": ...}` a
`{"pid": ...}` when the child runs and an `{"exit": ...}` when it ended (negative: by that signal).
This process never loads a model nor a fault, so that every child starts where a fresh process is after
its imports. It ends with its orders.
"""

import json
import os
import select
import signal
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

from .channel import Channel, redirect
from .job import Job
from .lifeline import die_with_parent
from .process import run_job
from .stack import Stack, import_stack

_POLL_S = 0.02
_TASKS = Path("/proc/self/task")
_HARMLESS = {"jemalloc_bg_thd"}
"""Threads that survive a fork: jemalloc (of pyarrow) stops and restarts its own by pthread_atfork."""


def serve(spec_file: Path) -> int:
    """Import the stack that the spec names, then fork until orders end."""
    spec = json.loads(spec_file.read_text(encoding="utf-8"))
    channel = Channel(Path(spec["output"]))
    os.chdir(spec["work_dir"])
    stack = import_stack(spec["family"], spec["hardware"])
    channel.say(unsafe=_unsafe())
    parent = os.getpid()
    while (order := channel.order()) is not None:
        pid = os.fork()
        if pid == 0:
            _become_cell(order, stack, channel, parent)
        _own_group(pid)
        channel.say(pid=pid)
        status = _ended(pid, channel)
        if status is None:
            return 1
        channel.say(exit=os.waitstatus_to_exitcode(status))
    return 0


def _become_cell(order: dict[str, Any], stack: Stack, channel: Channel, parent: int) -> NoReturn:
    code = 1
    try:
        _own_group(0)
        die_with_parent(parent)
        channel.close()
        redirect(Path(order["output"]))
        code = run_job(Job.read(Path(order["job"])), stack)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        # Never back into the parent's loop, whatever was raised.
        os._exit(code)


def _own_group(pid: int) -> None:
    # Both sides ask, so that the group is there before either goes on.
    try:
        os.setpgid(pid, pid)
    except OSError:
        pass


def _ended(pid: int, orders: Channel) -> int | None:
    """Wait for a child; None when the orders ended before, and the child with them."""
    while True:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return status
        # Nothing is ordered while a child runs: to be readable is to be closed.
        if select.select([orders], [], [], 0)[0]:
            os.killpg(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return None
        time.sleep(_POLL_S)


def _unsafe() -> str:
    """Say why a fork could hang, empty where it is safe: a lock that another thread holds stays held."""
    try:
        names = [(task / "comm").read_text().strip() for task in _TASKS.iterdir()]
    except OSError:
        return "the system does not tell which threads a process has"
    # This thread is one of them, whatever its name.
    others = [name for name in names if name not in _HARMLESS]
    return f"the import left threads: {', '.join(sorted(others))}" if len(others) > 1 else ""
