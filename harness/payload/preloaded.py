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

from .job import Job
from .process import die_with_parent, run_job
from .stack import Stack, import_stack

_POLL_S = 0.02
_TASKS = Path("/proc/self/task")
_HARMLESS = {"jemalloc_bg_thd"}
"""Threads that survive a fork: jemalloc (of pyarrow) stops and restarts its own by pthread_atfork."""


def serve(spec_file: Path) -> int:
    """Import the stack that the spec names, then fork until orders end."""
    spec = json.loads(spec_file.read_text(encoding="utf-8"))
    orders, answers = os.dup(0), os.dup(1)
    # What libraries print must not stand between the answers.
    _redirect(Path(spec["output"]))
    os.chdir(spec["work_dir"])
    stack = import_stack(spec["family"], spec["hardware"])
    _say(answers, unsafe=_unsafe())
    while (line := _line(orders)) is not None:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _become_cell(order, stack, (orders, answers))
        _own_group(pid)
        _say(answers, pid=pid)
        status = _ended(pid, orders)
        if status is None:
            return 1
        _say(answers, exit=os.waitstatus_to_exitcode(status))
    return 0


def _become_cell(order: dict[str, Any], stack: Stack, channels: tuple[int, int]) -> NoReturn:
    code = 1
    try:
        _own_group(0)
        die_with_parent()
        for channel in channels:
            os.close(channel)
        _redirect(Path(order["output"]))
        code = run_job(Job.read(Path(order["job"])), stack)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        # Never back into the parent's loop, whatever was raised.
        os._exit(code)


def _redirect(output: Path) -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(nothing, 0)
    for stream in (1, 2):
        os.dup2(file, stream)
    os.close(nothing)
    os.close(file)


def _own_group(pid: int) -> None:
    # Both sides ask, so that the group is there before either goes on.
    try:
        os.setpgid(pid, pid)
    except OSError:
        pass


def _ended(pid: int, orders: int) -> int | None:
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


def _line(channel: int) -> bytes | None:
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(channel, 1)
        if not byte:
            return None
        line += byte
    return line


def _say(channel: int, **answer: Any) -> None:
    os.write(channel, json.dumps(answer).encode() + b"\n")


def _unsafe() -> str:
    """Say why a fork could hang, empty where it is safe: a lock that another thread holds stays held."""
    try:
        names = [(task / "comm").read_text().strip() for task in _TASKS.iterdir()]
    except OSError:
        return "the system does not tell which threads a process has"
    # This thread is one of them, whatever its name.
    others = [name for name in names if name not in _HARMLESS]
    return f"the import left threads: {', '.join(sorted(others))}" if len(others) > 1 else ""
