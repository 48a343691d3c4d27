"""A payload's processes, from outside: how many, how much memory they hold, and their end."""

import os
import signal
from collections.abc import Sequence
from pathlib import Path

import psutil


def processes_of(pid: int | None) -> list[psutil.Process]:
    """Return a process and all that it started, as far as they can be found; none if it is gone."""
    try:
        root = psutil.Process(pid) if pid is not None else None
        return [root, *root.children(recursive=True)] if root else []
    except psutil.NoSuchProcess:
        return []


def resident(processes: Sequence[psutil.Process]) -> int:
    """Return the resident memory of processes, bytes."""
    return sum(map(_rss, processes))


def _rss(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def outer_pid(root: int, pid: int) -> int | None:
    """Return the process that has a number in its own namespace; None where there is none below `root`.

    Args:
        root: The process that it descends from, by the harness's number.
        pid: Its own number (proc(5), status, NSpid).
    """
    return next((p.pid for p in processes_of(root)[1:] if _inner_pid(p.pid) == pid), None)


def _inner_pid(pid: int) -> int | None:
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    names = next((line.split() for line in lines if line.startswith("NSpid:")), [])
    return int(names[-1]) if len(names) > 1 else pid


def kill(processes: Sequence[psutil.Process]) -> None:
    """Kill processes; whatever is gone is gone."""
    for process in processes:
        try:
            process.kill()
        except psutil.Error:
            pass  # Or of another user, by setuid: its group's end is left.


def kill_group(pid: int | None) -> None:
    """Kill a process group by its leader's number; whatever is gone is gone."""
    try:
        if pid is not None:
            os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def kill_users_of(home: Path) -> None:
    """Kill what runs with a home folder: daemons that left their group, where no namespace holds them.

    Only one that has also changed its environment gets away.
    """
    wanted, found = str(home), True
    while found:
        found = False
        for process in psutil.process_iter():
            try:
                if process.pid != os.getpid() and process.environ().get("HOME") == wanted:
                    process.kill()
                    process.wait(1.0)
                    found = True
            except psutil.Error:
                pass  # Ended meanwhile, or another user's.
