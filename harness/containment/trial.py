"""Whether a containment keeps what it promises here: a real process is put in it and tries to get out."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from harness.abandoned import work_folder
from harness.bound_process import run_bound
from harness.containment import probe
from harness.containment.command import OWN_PYTHON, contained
from harness.containment.limits import Limits
from harness.record.containment import Kind

_LIMIT_S = 60.0
_SECRET = "not the cell's"


@dataclass(frozen=True)
class Reach:
    """What a process can reach outside: the machine's network, files that are not its own, other processes."""

    network: bool
    files: bool
    processes: bool


class NotContainedError(Exception):
    """A containment does not start here, or does not keep what it promises; the message is which."""


def try_out(kind: Kind, *, on_gpu: bool) -> Reach:
    """Put a process in a containment and return what it can reach.

    Args:
        kind: `bubblewrap` or `unshare`.
        on_gpu: Whether CUDA must start in it as it does outside.

    Raises:
        NotContainedError: It does not start, or CUDA does not in it.
    """
    with work_folder("trial") as folder, socket.create_server(("127.0.0.1", 0)) as listener:
        work_dir, secret = folder / "cell", folder / "secret"
        work_dir.mkdir()
        secret.write_text(_SECRET, encoding="utf-8")
        asked = {
            "port": listener.getsockname()[1],
            "file": str(secret),
            "pid": os.getpid(),
            "started": probe.started(os.getpid()),
            "gpu": on_gpu,
        }
        command = contained(
            kind,
            OWN_PYTHON,
            *("-I", "-S", probe.__file__, json.dumps(asked)),
            work_dir=work_dir,
            scratch=folder,
            read=(Path(probe.__file__),),
            limits=Limits.for_model(),
            on_gpu=on_gpu,
        )
        found = _answer_of(command)
        files = found["files"] or secret.read_text(encoding="utf-8") != _SECRET
    if on_gpu and found["cuda"] != _cuda_outside():
        raise NotContainedError(f"CUDA does not start in it (cuInit: {found['cuda']})")
    return Reach(found["network"], files, found["processes"])


@cache
def _cuda_outside() -> int | None:
    # In a process of its own: this one shall never hold a GPU.
    code = "import sys; sys.path.insert(0, sys.argv[1]); import probe; print(probe.starts_cuda())"
    folder = str(Path(probe.__file__).parent)
    said = run_bound([sys.executable, "-I", "-S", "-c", code, folder], timeout_s=_LIMIT_S).stdout
    return int(said) if said.strip().lstrip("-").isdigit() else None


def _answer_of(command: Sequence[str]) -> dict[str, bool]:
    try:
        done = run_bound(command, timeout_s=_LIMIT_S)
    except subprocess.TimeoutExpired:
        raise NotContainedError(f"it does not end within {_LIMIT_S:g} s") from None
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise NotContainedError(said[-1][:200] if said else f"it exits {done.returncode}")
    answer: dict[str, bool] = json.loads(done.stdout)
    return answer
