"""Phases of a run with their wall time and peak memory."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .events import EventLog


class Phases:
    """Announces each phase, and measures it."""

    def __init__(self, events: EventLog) -> None:
        self._events = events
        self.current = "start"

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Measure a stretch of the run: wall seconds, peak RSS and peak GPU memory in bytes."""
        self.current = name
        self._events.emit("phase", name=name)
        _reset_peaks()
        start = time.perf_counter()
        yield
        self._events.emit(
            "phase_end",
            name=name,
            wall_s=time.perf_counter() - start,
            peak_rss=_peak_rss(),
            **_peak_gpu(),
        )


def _reset_peaks() -> None:
    try:
        # Linux: writing 5 resets VmHWM (proc(5), /proc/pid/clear_refs).
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass
    cuda = _real_cuda()
    if cuda is not None:
        cuda.reset_peak_memory_stats()


def _peak_rss() -> int | None:
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
    line = next((line for line in status.splitlines() if line.startswith("VmHWM:")), None)
    return int(line.split()[1]) * 1024 if line else None


def _peak_gpu() -> dict[str, int]:
    cuda = _real_cuda()
    if cuda is None:
        return {}
    return {
        "peak_gpu_allocated": cuda.max_memory_allocated(),
        "peak_gpu_reserved": cuda.max_memory_reserved(),
    }


def _real_cuda() -> Any:
    """Return torch.cuda once torch is loaded and a GPU context is there, else None.

    Never imports torch: the stack decides when that happens.
    """
    torch = sys.modules.get("torch")
    if torch is None or not hasattr(torch, "cuda") or torch.cuda.__dict__.get("_emulated"):
        return None
    return torch.cuda if torch.cuda.is_initialized() else None
