"""No process outlives the harness that started it, however that ends: SIGKILL, too.

A payload calls `die_with_parent` itself; `python lifeline.py PROGRAM ARGUMENT...` becomes a program that
does not, such as uv.
"""

import ctypes
import os
import select
import signal
import stat
import sys


def die_with_parent(parent: int | None = None) -> None:
    """Ask the kernel to kill this process when its parent dies (Linux prctl PR_SET_PDEATHSIG).

    A parent that died before is not told of: but then its end of a pipe at stdin is closed, and this
    process is another one's child.

    Args:
        parent: Its process id, where it is in this process's own namespace.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(1, signal.SIGKILL)
    if _is_hung_up(0) or parent not in (None, os.getppid()):
        os._exit(1)


def read_nothing() -> None:
    """Put the end of all input at stdin: a library that asks would wait for ever at a pipe."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)


def _is_hung_up(descriptor: int) -> bool:
    if not stat.S_ISFIFO(os.fstat(descriptor).st_mode):
        return False
    # Asked for nothing, poll tells of a closed other end alone, not of what is there to be read.
    poll = select.poll()
    poll.register(descriptor, 0)
    return bool(poll.poll(0))


if __name__ == "__main__":
    die_with_parent()
    read_nothing()
    os.execvp(sys.argv[1], sys.argv[1:])  # noqa: S606 - it is to become that program
