import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest

from harness.conditions import MAX_OTHERS, MAX_STEAL, THROTTLING, disturbances
from harness.processes import conditions_watch
from harness.processes.conditions_watch import ConditionsWatch, CpuReading, read_cpu_times
from harness.processes.gpu_samples import GpuSample, GpuSampler, summarise
from harness.record import Conditions, GpuConditions
from tests.unit.records import make_record


def disturbed(**changes: Any) -> list[str]:
    return disturbances(make_record(conditions=[Conditions(phase="train", **changes)]))


def gpu(**changes: Any) -> list[str]:
    return disturbed(gpu=GpuConditions(**{"samples": 100, **changes}))


def test_a_quiet_machine_and_an_old_record_disturb_nothing() -> None:
    assert disturbances(make_record()) == []
    assert disturbed(cpu_steal=MAX_STEAL, cpu_others=MAX_OTHERS, cpu_mhz=800.0) == []
    assert gpu(sm_clock_mhz=300.0, throttled={"sw_power_cap": 100, "hw_slowdown": 5}) == []


def test_what_disturbs_is_said_with_its_share_and_phase() -> None:
    assert disturbed(cpu_steal=0.25) == [
        "shared: the hypervisor kept 25% of the CPU time during train"
    ]
    assert disturbed(cpu_others=0.5) == [
        "shared: other processes took 50% of the CPU time during train"
    ]
    assert gpu(foreign_processes=2) == ["shared: 2 foreign process(es) on the GPU during train"]


@pytest.mark.parametrize("reason", THROTTLING)
def test_a_gpu_that_is_held_back_is_throttled(reason: str) -> None:
    (said,) = gpu(throttled={reason: 60}, sm_clock_mhz=900.0)

    assert said == f"throttled: {reason} in 60% of the samples during train, SM clock 900 MHz"


def test_only_the_phases_that_are_timed_count() -> None:
    record = make_record(conditions=[Conditions(phase="generate", cpu_others=0.9)])

    assert disturbances(record, ("train",)) == []
    assert len(disturbances(record)) == 1


def readings(*rows: tuple[float, float, float, float]) -> Iterator[CpuReading]:
    """Yield readings of two CPUs: clock, busy, steal and own seconds."""
    for clock, busy, steal, own in rows:
        yield CpuReading(total=2 * clock, busy=busy, steal=steal, own=own)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every look at the clock is a second later."""
    ticks = count()
    monkeypatch.setattr(
        conditions_watch, "time", SimpleNamespace(monotonic=lambda: float(next(ticks)))
    )


def watched(rows: Iterator[CpuReading | None], *events: tuple[str, str]) -> list[Conditions]:
    watch = ConditionsWatch(read_cpu=lambda: next(rows), read_mhz=lambda: 2600.0)
    for kind, name in events:
        watch.event({"event": kind, "name": name})
        watch.look()
    watch.close()
    return watch.seen


def test_others_are_what_was_busy_and_not_of_the_harness(clock: None) -> None:
    rows = readings((0, 0, 0, 0), (10, 13, 1, 10))
    (seen,) = watched(rows, ("phase", "train"), ("phase_end", "train"))

    assert (seen.phase, seen.cpu_steal, seen.cpu_others) == ("train", 0.05, 0.15)
    assert seen.cpu_mhz == 2600.0


def test_an_evaluation_is_a_phase_within_the_training(clock: None) -> None:
    rows = readings((0, 0, 0, 0), (4, 4, 0, 4), (6, 8, 0, 6), (10, 12, 0, 10))
    seen = watched(
        rows, ("phase", "train"), ("phase", "eval"), ("phase_end", "eval"), ("phase_end", "train")
    )

    assert [(s.phase, s.cpu_others) for s in seen] == [("eval", 0.5), ("train", 0.1)]


def test_a_phase_too_short_to_see_and_one_that_never_ended_leave_nothing() -> None:
    rows = readings((0, 0, 0, 0), (1, 1, 0, 0), (2, 2, 0, 0))

    assert watched(rows, ("phase", "load"), ("phase_end", "load"), ("phase", "train")) == []


def test_a_machine_that_tells_nothing_is_not_called_quiet(clock: None) -> None:
    (seen,) = watched(iter([None, None]), ("phase", "train"), ("phase_end", "train"))

    assert (seen.cpu_steal, seen.cpu_others) == (None, None)


def test_children_of_this_process_are_not_others() -> None:
    start, clock = read_cpu_times(), time.process_time()
    spin = "import time; s = time.process_time()\nwhile time.process_time() - s < 0.5: pass"
    subprocess.run([sys.executable, "-c", spin], check=True)
    end = read_cpu_times()
    assert start is not None
    assert end is not None

    used = end.own - start.own - (time.process_time() - clock)
    assert 0.45 < used < 0.8
    assert end.busy - start.busy >= 0.45


class Nvml:
    """A driver with one card, which refuses what `lacks` names."""

    NVMLError = RuntimeError
    NVML_CLOCK_SM = 1
    NVML_TEMPERATURE_GPU = 0

    def __init__(self, *lacks: str) -> None:
        self._lacks = lacks

    def __getattr__(self, name: str) -> Any:
        answers: dict[str, Any] = {
            "nvmlDeviceGetCurrentClocksThrottleReasons": 0x1 | 0x4 | 0x40,
            "nvmlDeviceGetPowerUsage": 71_500,
            "nvmlDeviceGetComputeRunningProcesses": [SimpleNamespace(pid=4711)],
            "nvmlDeviceGetClockInfo": 1410,
            "nvmlDeviceGetTemperature": 83,
        }

        def call(*_: Any) -> Any:
            if name in self._lacks:
                raise RuntimeError("Not Supported")
            return answers.get(name)

        return call


def test_a_sample_names_the_reasons_for_a_lower_clock() -> None:
    sampler = GpuSampler.of("GPU-1", Nvml())
    assert sampler is not None
    reasons = ("sw_power_cap", "hw_thermal_slowdown")

    assert sampler.read() == GpuSample(1410, reasons, 83, 71.5, frozenset({4711}))


def test_a_driver_that_refuses_leaves_gaps() -> None:
    refused = ("nvmlDeviceGetPowerUsage", "nvmlDeviceGetCurrentClocksThrottleReasons")
    sampler = GpuSampler.of("GPU-1", Nvml(*refused))
    assert sampler is not None

    assert (sampler.read().power_w, sampler.read().reasons) == (None, ())
    assert GpuSampler.of("GPU-1", Nvml("nvmlDeviceGetHandleByUUID")) is None
    assert GpuSampler.of(None, Nvml()) is None


def seen(*pids: int, clock: int = 1400, reasons: tuple[str, ...] = ()) -> GpuSample:
    return GpuSample(clock, reasons, 60, 50.0, frozenset(pids))


def test_samples_become_one_summary() -> None:
    samples = [seen(clock=1000), seen(clock=1400, reasons=("hw_slowdown",)), seen(clock=1500)]
    summary = summarise(samples, frozenset(), frozenset())

    assert summary == GpuConditions(
        samples=3,
        sm_clock_mhz=1400,
        sm_clock_mhz_min=1000,
        throttled={"hw_slowdown": 1},
        temperature_c=60,
        power_w=50.0,
    )
    assert summarise([], frozenset(), frozenset()) is None


@pytest.mark.parametrize(
    ("pids", "before", "own", "foreign"),
    [
        ((7, 8), (), (7, 8), 0),
        ((7, 9), (), (7,), 1),
        ((7, 9), (9,), (7,), 1),
        ((70,), (), (7,), 0),  # the driver's namespace is another one: the new one is the cell
        ((70, 90), (90,), (7,), 1),
        ((70, 90), (), (7,), 1),
        ((), (), (7,), 0),
    ],
)
def test_foreign_processes_with_and_without_a_shared_namespace(
    pids: tuple[int, ...], before: tuple[int, ...], own: tuple[int, ...], foreign: int
) -> None:
    summary = summarise([seen(*pids)], frozenset(before), frozenset(own))

    assert summary is not None
    assert summary.foreign_processes == foreign
