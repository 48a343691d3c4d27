"""What disturbed a run while it was timed, by what the harness saw of the machine.

Only a slow run asks: another load never makes a run faster. Nothing here judges memory.
"""

from collections.abc import Collection, Iterator

from harness.record import Conditions, GpuConditions, Record

MAX_STEAL = 0.02
"""Share of the CPU time that the hypervisor may give to others: a policy, below the least margin."""

MAX_OTHERS = 0.05
"""Share of the machine's CPU time that other processes may take: a policy; 0.1 of two cores."""

MAX_THROTTLED = 0.05
"""Share of the samples in which a GPU may be slowed down by what `THROTTLING` names: a policy."""

THROTTLING = ("hw_slowdown", "sw_thermal_slowdown", "hw_thermal_slowdown", "hw_power_brake")
"""Reasons for a lower clock that are the machine's trouble: heat, power supply, an external brake.

Source:
    NVML API reference, nvmlClocksEventReasons. Idle, an application clock, sync boost and the
    software power cap are left out: a card at its power limit (a T4 at 70 W nearly always) runs as it
    is meant to, and a lower limit that somebody set shows in `max_sm_clock_mhz` or the median clock.
"""


TIMED = {"throughput": ("train", "eval"), "start_up": ("import", "load", "data", "train")}
"""Check, or family of figures -> the phases in which a disturbed machine makes them worse."""


def disturbances(record: Record, phases: Collection[str] = ()) -> list[str]:
    """Return what disturbed a run, one sentence each; empty where nothing is known to.

    Args:
        record: A run. One from before conditions were noted has none.
        phases: The phases that count; all of them for none.
    """
    return [
        said
        for seen in record.conditions
        if not phases or seen.phase in phases
        for said in _of_phase(seen)
    ]


def _of_phase(seen: Conditions) -> Iterator[str]:
    if seen.cpu_steal is not None and seen.cpu_steal > MAX_STEAL:
        yield f"shared: the hypervisor kept {seen.cpu_steal:.0%} of the CPU time during {seen.phase}"
    if seen.cpu_others is not None and seen.cpu_others > MAX_OTHERS:
        yield f"shared: other processes took {seen.cpu_others:.0%} of the CPU time during {seen.phase}"
    if seen.gpu is not None:
        yield from _of_gpu(seen.gpu, seen.phase)


def _of_gpu(gpu: GpuConditions, phase: str) -> Iterator[str]:
    if gpu.foreign_processes:
        yield f"shared: {gpu.foreign_processes} foreign process(es) on the GPU during {phase}"
    for reason in THROTTLING:
        share = gpu.throttled.get(reason, 0) / gpu.samples
        if share > MAX_THROTTLED:
            clock = "" if gpu.sm_clock_mhz is None else f", SM clock {gpu.sm_clock_mhz:.0f} MHz"
            yield f"throttled: {reason} in {share:.0%} of the samples during {phase}{clock}"
