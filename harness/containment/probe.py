"""`python probe.py QUESTIONS`: what a process can reach from where it is; the answers as JSON.

QUESTIONS is a JSON object: `port` of a listener on loopback, `file` that is not the process's own, `pid` and
`started` (field 22 of /proc/PID/stat) of a process outside, and `gpu`: whether CUDA is to be started.
"""

import ctypes
import json
import socket
import sys
from pathlib import Path


def _connects(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            return True
    except OSError:
        return False


def _reads(file: str) -> bool:
    try:
        return bool(Path(file).read_bytes())
    except OSError:
        return False


def _spoil(file: str) -> None:
    try:
        Path(file).write_bytes(b"")
    except OSError:
        pass  # Whether it was is seen from outside.


def started(pid: int) -> str:
    """Return when a process was started, in clock ticks since boot; empty where there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except OSError:
        return ""


def starts_cuda() -> int | None:
    """Return what cuInit says, 0 for a GPU that can be used; None without a driver."""
    try:
        return int(ctypes.CDLL("libcuda.so.1").cuInit(0))
    except OSError:
        return None


if __name__ == "__main__":
    asked = json.loads(sys.argv[1])
    answer = {
        "network": _connects(asked["port"]),
        "files": _reads(asked["file"]),
        "processes": started(asked["pid"]) == asked["started"] != "",
        "cuda": starts_cuda() if asked["gpu"] else None,
    }
    _spoil(asked["file"])
    print(json.dumps(answer))  # noqa: T201
