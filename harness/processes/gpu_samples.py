"""What a GPU does while a cell runs: clocks, reasons for lower ones, heat, power, other processes."""

import statistics
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Self

import pynvml

from harness.record import GpuConditions

_REASONS = {
    0x004: "sw_power_cap",
    0x008: "hw_slowdown",
    0x010: "sync_boost",
    0x020: "sw_thermal_slowdown",
    0x040: "hw_thermal_slowdown",
    0x080: "hw_power_brake",
}
"""NVML API reference, nvmlClocksEventReasons; idle and clock settings are no slowdown."""


@dataclass(frozen=True)
class GpuSample:
    """One look at a GPU; None where the driver does not tell."""

    sm_clock_mhz: int | None
    reasons: tuple[str, ...]
    temperature_c: int | None
    power_w: float | None
    processes: frozenset[int]
    """Process ids of all that computes on it, in the driver's namespace."""


class GpuSampler:
    """Reads one GPU, by its UUID. Never raises once it is there.

    Args:
        uuid: As in `harness.nvml.Device`.
        nvml: The NVML binding; tests pass their own.
    """

    def __init__(self, uuid: str, nvml: Any = pynvml) -> None:
        self._nvml = nvml
        nvml.nvmlInit()
        self._handle = nvml.nvmlDeviceGetHandleByUUID(uuid)

    @classmethod
    def of(cls, uuid: str | None, nvml: Any = pynvml) -> Self | None:
        """Return a sampler, or None without a GPU or a working NVML."""
        try:
            return cls(uuid, nvml) if uuid else None
        except nvml.NVMLError:
            return None

    def read(self) -> GpuSample:
        """Take one sample."""
        nvml, handle = self._nvml, self._handle
        mask = self._ask(lambda: nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle)) or 0
        power = self._ask(lambda: nvml.nvmlDeviceGetPowerUsage(handle))
        processes = self._ask(lambda: nvml.nvmlDeviceGetComputeRunningProcesses(handle)) or ()
        return GpuSample(
            sm_clock_mhz=self._ask(lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM)),
            reasons=tuple(name for bit, name in _REASONS.items() if mask & bit),
            temperature_c=self._ask(
                lambda: nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)
            ),
            power_w=None if power is None else power / 1000,
            processes=frozenset(process.pid for process in processes),
        )

    def close(self) -> None:
        """Let NVML go."""
        self._ask(self._nvml.nvmlShutdown)

    def _ask(self, call: Callable[[], Any]) -> Any:
        # Cards and containers refuse one or the other.
        try:
            return call()
        except self._nvml.NVMLError:
            return None


def summarise(
    samples: Collection[GpuSample], before: frozenset[int], own: frozenset[int]
) -> GpuConditions | None:
    """Fold the samples of a phase; None for none.

    A container may see the driver's process ids instead of its own. Where none of `own` is among
    them, one process that was not there before the cell is taken for the cell.

    Args:
        samples: Of one phase.
        before: What computed on the GPU before the cell began.
        own: Process ids of the harness and all its children.
    """
    if not samples:
        return None
    clocks = [s.sm_clock_mhz for s in samples if s.sm_clock_mhz is not None]
    return GpuConditions(
        samples=len(samples),
        sm_clock_mhz=statistics.median(clocks) if clocks else None,
        sm_clock_mhz_min=min(clocks, default=None),
        throttled=dict(Counter(reason for s in samples for reason in s.reasons)),
        temperature_c=max(
            (s.temperature_c for s in samples if s.temperature_c is not None), default=None
        ),
        power_w=max((s.power_w for s in samples if s.power_w is not None), default=None),
        foreign_processes=max(_foreign(s.processes, before, own) for s in samples),
    )


def _foreign(seen: frozenset[int], before: frozenset[int], own: frozenset[int]) -> int:
    foreign = seen - own
    if seen & own:
        return len(foreign)
    new = foreign - before
    return len(foreign & before) + max(0, len(new) - 1)
