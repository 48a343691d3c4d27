"""Hardware profiles, what is in this machine, and what a cell's hardware slug stands for.

A slug is `cpu`, a card such as `t4` that must be in the machine, or an emulated card, whose profile
is shown to the library: `t4-emulated` while its tensors live on the CPU, `t4-over-h100` while they
live on a bigger GPU of the machine.
"""

import re
from dataclasses import dataclass
from typing import Any, Literal

from harness.cpu_info import Cpu, read_cpu
from harness.errors import HardwareError
from harness.nvml import Device, read_devices
from harness.profiles import EMULATED, GIB, OVER, Profile, load_profiles, profile
from harness.record import HardwareInfo

__all__ = [
    "Gpu",
    "Machine",
    "Profile",
    "Target",
    "describe_gpu",
    "detect",
    "load_profiles",
    "profile",
    "resolve",
    "to_record",
]


@dataclass(frozen=True)
class Gpu(Device):
    """A CUDA GPU of this machine and the profile it matches."""

    profile: Profile

    @property
    def slug(self) -> str:
        """The slug that selects this GPU."""
        return self.profile.slug


@dataclass(frozen=True)
class Machine:
    """The machine the harness runs on."""

    cpu: Cpu
    gpus: tuple[Gpu, ...] = ()
    where: str = "this machine"
    """How it is called in a message: a cluster is searched like one machine."""

    @property
    def cores(self) -> int:
        """Logical cores this process may use."""
        return self.cpu.cores

    @property
    def memory_bytes(self) -> int:
        """RAM this process may use, in bytes."""
        return self.cpu.memory_bytes


@dataclass(frozen=True)
class Target:
    """A hardware slug, resolved on a machine.

    Attributes:
        device: CPU model or GPU name of what computes.
        bf16: Whether the library may use bfloat16 natively on what it is shown.
        memory_bytes: Of the card, or the RAM; that of a card emulated on the CPU is not enforced.
        gpu_uuid: The GPU to make visible to the cell; None when it runs on the CPU.
        device_capability: Compute capability of the GPU that computes, where another card is shown.
    """

    slug: str
    kind: Literal["native", "emulated"]
    profile: Profile
    device: str
    bf16: bool
    memory_bytes: int
    gpu_uuid: str | None = None
    device_capability: str | None = None

    @property
    def on_gpu(self) -> bool:
        """Whether tensors live on a GPU."""
        return self.gpu_uuid is not None

    def for_payload(self) -> dict[str, Any]:
        """Return what the payload is told, as plain JSON values."""
        return {
            "slug": self.slug,
            "kind": self.kind,
            "on_gpu": self.on_gpu,
            "bf16": self.bf16,
            "name": self.profile.name,
            "compute_capability": self.profile.compute_capability,
            "memory_bytes": self.memory_bytes,
            "sm_count": self.profile.sm_count,
        }


def detect() -> Machine:
    """Describe this machine without importing torch."""
    return Machine(cpu=read_cpu(), gpus=tuple(describe_gpu(device) for device in read_devices()))


def describe_gpu(device: Device) -> Gpu:
    """Match a device to its profile by name and compute capability.

    A card without an entry gets a profile made of what the driver says, with its name as slug.
    """
    for known in load_profiles().values():
        if device.name in known.names and device.compute_capability == known.compute_capability:
            return Gpu(**vars(device), profile=known)
    made = Profile(
        slug=re.sub(r"[^a-z0-9]+", "-", device.name.lower().removeprefix("nvidia ")).strip("-"),
        names=(device.name,),
        compute_capability=device.compute_capability,
        memory_gib=device.memory_bytes / GIB,
    )
    return Gpu(**vars(device), profile=made)


def resolve(slug: str, machine: Machine) -> Target:
    """Return what a cell's hardware slug stands for on this machine.

    Raises:
        HardwareError: An unknown slug, a card that is not in this machine, or a GPU too small to show
            another one over it.
    """
    if slug == "cpu":
        cpu = machine.cpu
        return Target(slug, "native", profile(slug), cpu.model, cpu.bf16, cpu.memory_bytes)
    if slug.endswith(EMULATED):
        return _emulated(slug, machine)
    if OVER in slug:
        return _shown_over(slug, machine)
    gpu = _gpu(slug, machine, emulated=f"{slug}{EMULATED}")
    return Target(
        slug, "native", gpu.profile, gpu.name, gpu.profile.bf16, gpu.memory_bytes, gpu.uuid
    )


def _gpu(slug: str, machine: Machine, emulated: str) -> Gpu:
    for gpu in machine.gpus:
        if gpu.slug == slug:
            return gpu
    present = ", ".join(["cpu", *(gpu.slug for gpu in machine.gpus)])
    raise HardwareError(
        f"no such GPU in {machine.where}: {slug} ({profile(slug).name}); present: {present}. "
        f"Use {emulated} to run the library's decisions for that card on the CPU."
    )


def _emulated(slug: str, machine: Machine) -> Target:
    card = _card(slug, slug.removesuffix(EMULATED))
    return Target(slug, "emulated", card, machine.cpu.model, card.bf16, card.memory_bytes or 0)


def _shown_over(slug: str, machine: Machine) -> Target:
    shown, _, real = slug.partition(OVER)
    card = _card(slug, shown)
    gpu = _gpu(real, machine, emulated=f"{shown}{EMULATED}")
    lacking = [
        f"{what} {has} is below the {wants} of {card.name}"
        for what, has, wants, enough in (
            (
                "compute capability",
                gpu.compute_capability,
                card.compute_capability,
                gpu.profile.capability >= card.capability,
            ),
            (
                "memory",
                f"{gpu.memory_bytes / GIB:.2f} GiB",
                f"{card.memory_gib:.2f} GiB",
                gpu.memory_bytes >= (card.memory_bytes or 0),
            ),
        )
        if not enough
    ]
    if lacking:
        raise HardwareError(
            f"{slug!r}: {gpu.name} is no bigger card: its {'; its '.join(lacking)}. Only a smaller "
            f"card can be shown over it; use {shown}{EMULATED} to emulate this one on the CPU."
        )
    return Target(
        slug,
        "emulated",
        card,
        gpu.name,
        card.bf16,
        card.memory_bytes or 0,
        gpu.uuid,
        gpu.compute_capability,
    )


def _card(slug: str, shown: str) -> Profile:
    card = profile(shown)
    if card.compute_capability is None:
        raise HardwareError(f"{slug!r}: the CPU is not emulated; use {card.slug}.")
    return card


def to_record(target: Target, machine: Machine, threads: int, parallel_cells: int) -> HardwareInfo:
    """Return the record's description of what a cell ran on.

    Args:
        target: The cell's hardware.
        machine: Where it ran.
        threads: CPU threads of the cell.
        parallel_cells: Cells that shared the machine while it ran.
    """
    gpu = next((gpu for gpu in machine.gpus if gpu.uuid == target.gpu_uuid), None)
    return HardwareInfo(
        name=target.slug,
        kind=target.kind,
        device=target.device,
        device_capability=target.device_capability,
        compute_capability=target.profile.compute_capability,
        bf16=target.bf16,
        memory_bytes=target.memory_bytes,
        cores=machine.cores,
        driver=gpu.driver if gpu else None,
        max_sm_clock_mhz=gpu.max_sm_clock_mhz if gpu else None,
        threads=threads,
        parallel_cells=parallel_cells,
    )
