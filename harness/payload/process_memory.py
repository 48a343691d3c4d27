"""Memory of this process: resident bytes, malloc's, and a GPU's allocated and reserved bytes."""

import ctypes
import sys
from pathlib import Path
from typing import Any


class _Mallinfo(ctypes.Structure):
    """`struct mallinfo2` of glibc's malloc.h, mallinfo(3)."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",  # bytes in blocks of their own, by mmap
            "usmblks",
            "fsmblks",
            "uordblks",  # bytes in use in the arenas
            "fordblks",
            "keepcost",
        )
    )


def reset_peaks() -> None:
    """Start the high-water marks anew."""
    try:
        # Linux: writing 5 resets VmHWM (proc(5), /proc/pid/clear_refs).
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass
    cuda = real_cuda()
    if cuda is not None:
        cuda.reset_peak_memory_stats()


def peaks() -> dict[str, int | None]:
    """Return the highest bytes since the last reset, by the names of `harness.record.Phase`."""
    cuda = real_cuda()
    if cuda is None:
        return {"peak_rss": _peak_rss()}
    return {
        "peak_rss": _peak_rss(),
        "peak_gpu_allocated": cuda.max_memory_allocated(),
        "peak_gpu_reserved": cuda.max_memory_reserved(),
    }


def in_use() -> int | None:
    """Return the bytes in use now: allocated on a GPU where there is one, else by malloc.

    What malloc has handed out is what a GPU's allocator calls allocated: tensors and all else of C and
    C++, not Python's own objects. Resident bytes would hide a leak: malloc keeps what was freed, 20 MiB
    more or less of a tiny model from step to step.

    Returns:
        None where the C library has no `mallinfo2`: it is glibc's, from 2.33 on.
    """
    cuda = real_cuda()
    if cuda is not None:
        return int(cuda.memory_allocated())
    try:
        mallinfo = ctypes.CDLL(None).mallinfo2
    except AttributeError:
        return None
    mallinfo.restype = _Mallinfo
    found = mallinfo()
    return int(found.uordblks + found.hblkhd)


def synchronise() -> None:
    """Wait for what a GPU was asked to do."""
    cuda = real_cuda()
    if cuda is not None:
        cuda.synchronize()


def real_cuda() -> Any:
    """Return torch.cuda once torch is loaded and a GPU context is there, else None.

    Never imports torch: the stack decides when that happens.
    """
    torch = sys.modules.get("torch")
    if torch is None or not hasattr(torch, "cuda") or torch.cuda.__dict__.get("_emulated"):
        return None
    return torch.cuda if torch.cuda.is_initialized() else None


def _peak_rss() -> int | None:
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
    line = next((line for line in status.splitlines() if line.startswith("VmHWM:")), None)
    return int(line.split()[1]) * 1024 if line else None
