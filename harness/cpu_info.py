"""What the CPU of this machine is and may use: model, cores, memory, bfloat16."""

import math
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

BF16_SWITCH = "UNSLOTH_CPU_BF16"
_ON, _OFF = ("1", "true", "yes", "on"), ("0", "false", "no", "off")
# A cgroup without a memory limit says "max" (v2) or a number near 2**63 (v1).
_NO_LIMIT = 1 << 60


@dataclass(frozen=True)
class Cpu:
    """The CPU as this process may use it.

    Attributes:
        model: Model name, as /proc/cpuinfo gives it.
        cores: Logical cores this process may use: its affinity mask, cut by the cgroup's CPU quota.
        physical_cores: Of the whole machine; None when the kernel does not tell.
        memory_bytes: Total RAM, or the cgroup's limit where that is lower.
        bf16: Whether the CPU multiplies bfloat16 in hardware (see `native_bf16`).
    """

    model: str
    cores: int
    physical_cores: int | None
    memory_bytes: int
    bf16: bool


def read_cpu(
    proc: Path = Path("/proc"),
    cgroup: Path = Path("/sys/fs/cgroup"),
    environ: Mapping[str, str] | None = None,
) -> Cpu:
    """Read the CPU; what the kernel does not tell is left out, never an error."""
    info = _read(proc / "cpuinfo")
    groups = _cgroup_folders(proc, cgroup)
    return Cpu(
        model=_field(info, "model name") or platform.processor() or platform.machine(),
        cores=_cores(groups),
        physical_cores=psutil.cpu_count(logical=False),
        memory_bytes=min([psutil.virtual_memory().total, *_memory_limits(groups)]),
        bf16=native_bf16(
            frozenset((_field(info, "flags") or _field(info, "Features") or "").lower().split()),
            platform.machine(),
            os.environ if environ is None else environ,
        ),
    )


def native_bf16(flags: frozenset[str], architecture: str, environ: Mapping[str, str]) -> bool:
    """Whether a CPU trains in bfloat16 natively, by the rule of Unsloth's CPU backend.

    The rule is `cpu_bf16_supported` in unsloth_zoo/cpu/runtime.py: AVX512-BF16 or AMX-BF16 on x86,
    the BF16 extension on Arm, and UNSLOTH_CPU_BF16=0/1 before either.

    Args:
        flags: ISA flags from /proc/cpuinfo, lower case.
        architecture: As `platform.machine()` gives it.
        environ: Environment variables.
    """
    override = environ.get(BF16_SWITCH, "").strip().lower()
    if override in _ON or override in _OFF:
        return override in _ON
    match architecture.lower():
        case "x86_64" | "amd64" | "i686" | "x86":
            return bool(flags & {"amx_bf16", "avx512_bf16"})
        case "aarch64" | "arm64":
            return "bf16" in flags
    return False


def _cores(groups: list[Path]) -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    quotas = [quota for group in groups if (quota := _quota(group)) is not None]
    return max(1, min([cores or 1, *(math.ceil(quota) for quota in quotas)]))


def _quota(group: Path) -> float | None:
    words = _read(group / "cpu.max").split() or [
        _read(group / "cpu.cfs_quota_us").strip(),
        _read(group / "cpu.cfs_period_us").strip(),
    ]
    if len(words) != 2 or not all(word.isdigit() and int(word) > 0 for word in words):
        return None
    return int(words[0]) / int(words[1])


def _memory_limits(groups: list[Path]) -> list[int]:
    texts = [
        _read(group / name).strip()
        for group in groups
        for name in ("memory.max", "memory.limit_in_bytes")
    ]
    return [int(text) for text in texts if text.isdigit() and int(text) < _NO_LIMIT]


def _cgroup_folders(proc: Path, root: Path) -> list[Path]:
    """Return every folder whose limits bind this process: its own cgroups and all above them."""
    folders = {root, root / "memory", root / "cpu"}
    for line in _read(proc / "self" / "cgroup").splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        for base in {root, root / controllers, *(root / name for name in controllers.split(","))}:
            folder = base / path.lstrip("/")
            while folder != root and root in folder.parents:
                folders.add(folder)
                folder = folder.parent
    return sorted(folders)


def _field(cpuinfo: str, name: str) -> str | None:
    for line in cpuinfo.splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
