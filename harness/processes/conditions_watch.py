"""The machine while a cell runs, phase by phase: noted by the harness, never by the payload."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import psutil

from harness.processes.gpu_samples import GpuSample, GpuSampler, summarise
from harness.record import Conditions

_SAMPLE_S = 0.5
_SHORTEST_S = 1.0
"""The kernel counts CPU time in hundredths of a second: two of them are 5 % of 0.2 s on two CPUs."""


@dataclass(frozen=True)
class CpuReading:
    """Seconds of CPU time since boot, over all CPUs, and those of the harness and its children."""

    total: float
    busy: float
    steal: float
    own: float

    def steal_since(self, start: "CpuReading") -> float | None:
        """Return the share of the CPU time that the hypervisor gave to others."""
        return _share(self.steal - start.steal, self.total - start.total)

    def others_since(self, start: "CpuReading") -> float | None:
        """Return the share of the CPU time that went to neither the harness nor the hypervisor."""
        busy = (self.busy - start.busy) - (self.own - start.own)
        return _share(busy, self.total - start.total)


@dataclass
class _Open:
    since: float
    start: CpuReading | None
    gpu: list[GpuSample] = field(default_factory=list)
    mhz: list[float] = field(default_factory=list)


class ConditionsWatch:
    """Follows one cell: hears its events, looks at the machine between them.

    Args:
        gpu_uuid: The GPU that computes, if one does.
        read_cpu, read_mhz: Tests pass their own.
    """

    def __init__(
        self,
        gpu_uuid: str | None = None,
        read_cpu: Callable[[], CpuReading | None] | None = None,
        read_mhz: Callable[[], float | None] | None = None,
        sampler: GpuSampler | None = None,
    ) -> None:
        self._read_cpu = read_cpu or read_cpu_times
        self._read_mhz = read_mhz or cpu_mhz
        self._sampler = sampler or GpuSampler.of(gpu_uuid)
        self._before = self._sampler.read().processes if self._sampler else frozenset()
        self._open: dict[str, _Open] = {}
        self._next = 0.0
        self.seen: list[Conditions] = []
        """What was noted, one entry for each phase that ended."""

    def event(self, event: dict[str, Any]) -> None:
        """Hear an event of the payload."""
        if event["event"] == "phase":
            # An evaluation is a phase within the training.
            self._open[event["name"]], self._next = _Open(time.monotonic(), self._read_cpu()), 0.0
        elif event["event"] == "phase_end" and event["name"] in self._open:
            self._end(event["name"], self._open.pop(event["name"]))

    def look(self) -> None:
        """Take a sample if one is due; call it often."""
        now = time.monotonic()
        if not self._open or now < self._next:
            return
        self._next = now + _SAMPLE_S
        sample, mhz = self._sampler.read() if self._sampler else None, self._read_mhz()
        for phase in self._open.values():
            phase.gpu += [sample] if sample else []
            phase.mhz += [mhz] if mhz is not None else []

    def close(self) -> None:
        """Let the GPU's driver go."""
        if self._sampler is not None:
            self._sampler.close()

    def _end(self, name: str, phase: _Open) -> None:
        if time.monotonic() - phase.since < _SHORTEST_S:
            return
        start, end = phase.start, self._read_cpu()
        self.seen.append(
            Conditions(
                phase=name,
                cpu_steal=end.steal_since(start) if start and end else None,
                cpu_others=end.others_since(start) if start and end else None,
                cpu_mhz=statistics.fmean(phase.mhz) if phase.mhz else None,
                gpu=summarise(phase.gpu, self._before, _own_pids()) if phase.gpu else None,
            )
        )


def read_cpu_times() -> CpuReading | None:
    """Read the CPU time of the machine, and of this process with all its children, ended or not.

    Returns:
        None where the machine does not tell, as in a container without /proc/stat.
    """
    try:
        times, own = psutil.cpu_times()._asdict(), _own()
    except (psutil.Error, OSError):
        return None
    # The kernel counts a guest's time as user time, too (proc(5), /proc/stat).
    total = sum(times.values()) - times.get("guest", 0.0) - times.get("guest_nice", 0.0)
    steal = times.get("steal", 0.0)
    return CpuReading(
        total=total,
        busy=total - steal - times.get("idle", 0.0) - times.get("iowait", 0.0),
        steal=steal,
        own=sum(map(_cpu_time, own)),
    )


def cpu_mhz() -> float | None:
    """Return the mean clock of the CPUs in MHz; None where the machine does not tell."""
    try:
        frequency = psutil.cpu_freq()
    except (OSError, NotImplementedError):
        return None
    return float(frequency.current) if frequency is not None and frequency.current else None


def _own() -> list[psutil.Process]:
    root = psutil.Process()
    return [root, *root.children(recursive=True)]


def _own_pids() -> frozenset[int]:
    return frozenset(process.pid for process in _own())


def _cpu_time(process: psutil.Process) -> float:
    try:
        times = process.cpu_times()
    except psutil.Error:
        return 0.0
    # Those of children that it has waited for: together they are the whole tree's.
    return float(times.user + times.system + times.children_user + times.children_system)


def _share(part: float, whole: float) -> float | None:
    return round(min(1.0, max(0.0, part / whole)), 4) if whole > 0 else None
