"""The command that runs another one contained, and what its exit code means."""

import json
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.containment import bubblewrap, limited, namespaces, readable
from harness.containment.limits import Limits
from harness.record.containment import Kind

OWN_PYTHON = Path(getattr(sys, "_base_executable", sys.executable))
"""The harness's Python without its packages: not the stack's, which could leave the limits out."""
_SIGNALLED = 128
"""A shell's, and bubblewrap's, exit code of what a signal ended: this and the signal's number."""


def contained(
    kind: Kind,
    python: Path,
    *arguments: str | Path,
    work_dir: Path,
    scratch: Path,
    read: Sequence[Path],
    limits: Limits,
    bound: bool = True,
    on_gpu: bool = False,
) -> list[str]:
    """Return the command that runs a Python contained.

    Args:
        kind: How.
        python: The interpreter; what is installed for it can be read.
        arguments: Its arguments.
        work_dir: The only folder that it may write to.
        scratch: Where its `/tmp` and `/dev/shm` are kept, outside of `work_dir`.
        read: What else it may read.
        limits: What it may use.
        bound: Whether it ends with the thread that starts it (prctl PR_SET_PDEATHSIG).
        on_gpu: Whether it computes on a GPU.
    """
    settings = {"file_bytes": limits.file_bytes}
    prefix: list[str] = []
    if kind == "bubblewrap":
        shown = [path for p in (python, OWN_PYTHON) for path in readable.interpreter_paths(p)]
        shown += [*readable.named_by_user(), Path(limited.__file__), *read]
        prefix = bubblewrap.command(work_dir, scratch, shown, bound=bound, on_gpu=on_gpu)
    elif kind == "unshare":
        prefix = namespaces.command(bound=bound)
    if prefix:
        # Only in a user namespace of its own are the user's other processes not counted.
        settings["tasks"] = limits.tasks
    return [*prefix, *_start(settings), str(python), *map(str, arguments)]


def placed(command: Sequence[str], cores: Sequence[int], nice: int) -> list[str]:
    """Return the command that runs another one on some cores, before all others.

    Args:
        command: What to run.
        cores: Logical cores; any if empty.
        nice: The priority to ask for; what is contained could not ask itself.
    """
    return [*_start({"cores": list(cores), "nice": nice}), *command]


def _start(settings: Mapping[str, Any]) -> list[str]:
    return [str(OWN_PYTHON), "-I", "-S", limited.__file__, json.dumps(settings)]


def exit_code(kind: Kind, code: int) -> int:
    """Return a process's exit code as `subprocess` has it, negative for a signal, from its containment's."""
    is_signal = kind != "limits" and _SIGNALLED < code < _SIGNALLED + signal.NSIG
    return _SIGNALLED - code if is_signal else code
