"""`python limited.py SETTINGS PROGRAM ARGUMENT...`: become a program that has limits.

SETTINGS is a JSON object, each field may be left out: `file_bytes` and `tasks` (`harness.containment.limits`);
`cores`, the logical cores that it may use; `nice`, the priority that it asks for.
"""

import json
import os
import resource
import sys
from pathlib import Path

_OUT_OF_MEMORY_SCORE = "800"
"""Of 1000 (proc(5), oom_score_adj): where memory runs out, the kernel takes a cell, not the harness."""


def _limit(kind: int, value: int) -> None:
    hard = resource.getrlimit(kind)[1]
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(kind, (value, value))


def main() -> None:
    """Set the limits and become the program."""
    settings = json.loads(sys.argv[1])
    _limit(resource.RLIMIT_CORE, 0)
    if "file_bytes" in settings:
        _limit(resource.RLIMIT_FSIZE, settings["file_bytes"])
    if "tasks" in settings:
        _limit(resource.RLIMIT_NPROC, settings["tasks"])
    if settings.get("cores"):
        os.sched_setaffinity(0, settings["cores"])
    try:
        Path("/proc/self/oom_score_adj").write_text(_OUT_OF_MEMORY_SCORE, encoding="ascii")
    except OSError:
        pass  # A system without it has no such killer.
    if "nice" in settings:
        try:
            os.setpriority(os.PRIO_PROCESS, 0, settings["nice"])
        except PermissionError:
            pass  # Only root may, or one with CAP_SYS_NICE.
    os.execvp(sys.argv[2], sys.argv[2:])  # noqa: S606 - it is to become that program


if __name__ == "__main__":
    main()
