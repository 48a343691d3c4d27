"""Where a run took place: environment, hardware, and what else went on there."""

from typing import Literal

from pydantic import Field

from harness.record.data import Data, Number


class StackInfo(Data):
    """The environment the cell ran in."""

    name: str
    family: Literal["unsloth", "reference"]
    release: str
    lock_digest: str
    python: str = ""
    overrides: list[str] = []
    """Every departure from the lock, in words, with its reason."""


class HardwareInfo(Data):
    """What the cell ran on, and what the library was shown."""

    name: str
    kind: Literal["native", "emulated"]
    device: str
    """CPU model or GPU name of the device that computed."""
    device_capability: str | None = None
    """Compute capability of the GPU that computed, where another card was shown over it."""
    compute_capability: str | None = None
    bf16: bool
    memory_bytes: int | None = None
    cores: int | None = None
    driver: str | None = None
    """Version of the GPU's driver; None without a GPU."""
    max_sm_clock_mhz: int | None = None
    """The limit of the GPU's SM clock."""
    threads: int = 1
    parallel_cells: int = 1
    """Cells that shared the machine while this one ran."""
    replaced: list[str] = []
    """Parts of the library under test that the emulation stands in for."""

    @property
    def on_gpu(self) -> bool:
        """Whether tensors lived on a GPU."""
        return self.device_capability is not None or (
            self.kind == "native" and self.compute_capability is not None
        )

    @property
    def emulation(self) -> str:
        """How to label what this hardware gave: empty, `emulated` or `emulated over NVIDIA H100`."""
        return emulation_label(self.kind, self.device_capability, self.device)


class GpuConditions(Data):
    """A GPU during one phase, from samples by NVML."""

    samples: int = Field(ge=1)
    sm_clock_mhz: Number = None
    """Median."""
    sm_clock_mhz_min: Number = None
    throttled: dict[str, int] = {}
    """Reason for a lower clock -> samples that had it."""
    temperature_c: Number = None
    """Highest, as `power_w`."""
    power_w: Number = None
    foreign_processes: int = 0
    """Processes that are not of the cell and compute on it, most at once."""


class Conditions(Data):
    """The machine during one phase, as the harness saw it from outside."""

    phase: str
    cpu_steal: Number = None
    """Share of the machine's CPU time that the hypervisor gave to others."""
    cpu_others: Number = None
    """Share of the machine's CPU time that went to processes which the harness did not start."""
    cpu_mhz: Number = None
    """Mean clock of the CPUs."""
    gpu: GpuConditions | None = None


def emulation_label(kind: str, device_capability: str | None, device: str) -> str:
    """Label emulated hardware, empty for native; arguments as in `HardwareInfo`."""
    if kind == "native":
        return ""
    return "emulated" if device_capability is None else f"emulated over {device}"


def with_emulation(name: str, emulation: str) -> str:
    """Return a name that says how its hardware was emulated, unless it does or there is nothing to say."""
    return f"{name} ({emulation})" if emulation and "emulated" not in name else name
