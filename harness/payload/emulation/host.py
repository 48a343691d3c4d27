"""The machine around the process: what an emulated run sets for itself, and what it may not touch."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

VARIABLES = {
    # Triton kernels run in its interpreter, and inductor, which would generate code, stays off.
    "TRITON_INTERPRET": "1",
    "TORCHDYNAMO_DISABLE": "1",
    "CUDA_VISIBLE_DEVICES": "0",
    # transformers 5 loads weights in threads of its own pool; one order, one thread.
    "HF_DEACTIVATE_ASYNC_LOAD": "1",
}


def prepare() -> None:
    """Set the process's variables and keep it from changing the machine."""
    os.environ.update(VARIABLES)
    guard_ldconfig()


def guard_ldconfig() -> None:
    """Answer `ldconfig` with success instead of running it.

    Unsloth runs it as root when bitsandbytes has no CUDA library (unsloth/_gpu_init.py), which
    rewrites /etc/ld.so.cache of the machine.
    """
    os.system = _unless_ldconfig(os.system, 0)  # type: ignore[assignment]
    run = subprocess.Popen.__init__

    def init(self: Any, args: Any, *rest: Any, **options: Any) -> None:
        # `ldconfig -p` only prints the cache: triton looks for libcuda that way.
        run(self, "true" if _changes_links(args) else args, *rest, **options)

    subprocess.Popen.__init__ = init  # type: ignore[method-assign]


def _unless_ldconfig(function: Callable[[str], int], answer: int) -> Callable[[str], int]:
    def guarded(command: str) -> int:
        return answer if _changes_links(command) else function(command)

    return guarded


def _changes_links(command: Any) -> bool:
    parts = [command] if isinstance(command, str | bytes | os.PathLike) else command
    words = [word for part in parts for word in os.fsdecode(part).split()]
    return "ldconfig" in {Path(word).name for word in words} and "-p" not in words
