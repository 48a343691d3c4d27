"""The CUDA GPUs of this machine, read through NVML: no torch, and no driver is no error."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pynvml


@dataclass(frozen=True)
class GpuProcess:
    """A process that computes on a GPU; `memory_bytes` None when the driver does not tell."""

    pid: int
    memory_bytes: int | None


@dataclass(frozen=True)
class Device:
    """One CUDA GPU as the driver describes it now.

    Attributes:
        uuid: As CUDA_VISIBLE_DEVICES takes it.
        compute_capability: `7.5`.
        memory_bytes: Total; `memory_free_bytes` is what no process holds.
        sm_clock_mhz: Current SM clock, and `max_sm_clock_mhz` its limit; None when not told.
        foreign_processes: What else computes on it; timings taken beside them are not the card's.
    """

    uuid: str
    name: str
    compute_capability: str
    memory_bytes: int
    memory_free_bytes: int
    driver: str
    sm_clock_mhz: int | None
    max_sm_clock_mhz: int | None
    foreign_processes: tuple[GpuProcess, ...]


def read_devices(
    nvml: Any = pynvml, environ: Mapping[str, str] | None = None
) -> tuple[Device, ...]:
    """Return every GPU that CUDA_VISIBLE_DEVICES leaves visible.

    NVML counts by PCI bus, as CUDA does under CUDA_DEVICE_ORDER=PCI_BUS_ID; between cards of
    different kinds a bare index can mean another card to CUDA, a UUID never does. A slice of a
    card (MIG) is not described: selected by its own UUID, it leaves no GPU.

    Args:
        nvml: The NVML binding; tests pass their own.
        environ: Environment variables.

    Returns:
        Devices in NVML's order; empty without a driver, a GPU or a working NVML.
    """
    environ = os.environ if environ is None else environ
    try:
        nvml.nvmlInit()
    except nvml.NVMLError:
        return ()
    try:
        driver = _text(nvml.nvmlSystemGetDriverVersion())
        handles = [nvml.nvmlDeviceGetHandleByIndex(i) for i in range(nvml.nvmlDeviceGetCount())]
        devices = [_device(nvml, handle, driver) for handle in handles]
    except nvml.NVMLError:
        return ()
    finally:
        nvml.nvmlShutdown()
    return visible(devices, environ.get("CUDA_VISIBLE_DEVICES"))


def visible(devices: Sequence[Device], selection: str | None) -> tuple[Device, ...]:
    """Apply CUDA_VISIBLE_DEVICES: indices or UUID prefixes, cut at the first that is invalid.

    That is CUDA's own rule (CUDA C++ Programming Guide, environment variables): `-1`, an empty
    value or a wrong entry hides what follows.
    """
    if selection is None:
        return tuple(devices)
    chosen: list[Device] = []
    for entry in (part.strip() for part in selection.split(",")):
        if entry.isdigit():
            matches = [devices[int(entry)]] if int(entry) < len(devices) else []
        else:
            matches = [d for d in devices if entry and d.uuid.startswith(entry)]
        if len(matches) != 1 or matches[0] in chosen:
            break
        chosen.append(matches[0])
    return tuple(chosen)


def _device(nvml: Any, handle: Any, driver: str) -> Device:
    def optional(call: Callable[[], Any]) -> Any:
        # Clocks and processes are refused on some cards and in some containers.
        try:
            return call()
        except nvml.NVMLError:
            return None

    memory = nvml.nvmlDeviceGetMemoryInfo(handle)
    major, minor = nvml.nvmlDeviceGetCudaComputeCapability(handle)
    processes = optional(lambda: nvml.nvmlDeviceGetComputeRunningProcesses(handle)) or []
    return Device(
        uuid=_text(nvml.nvmlDeviceGetUUID(handle)),
        name=_text(nvml.nvmlDeviceGetName(handle)),
        compute_capability=f"{major}.{minor}",
        memory_bytes=int(memory.total),
        memory_free_bytes=int(memory.free),
        driver=driver,
        sm_clock_mhz=optional(lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM)),
        max_sm_clock_mhz=optional(
            lambda: nvml.nvmlDeviceGetMaxClockInfo(handle, nvml.NVML_CLOCK_SM)
        ),
        foreign_processes=tuple(
            GpuProcess(process.pid, process.usedGpuMemory)
            for process in processes
            if process.pid != os.getpid()
        ),
    )


def _text(value: str | bytes) -> str:
    # nvidia-ml-py before 12 answers in bytes.
    return value.decode() if isinstance(value, bytes) else value
