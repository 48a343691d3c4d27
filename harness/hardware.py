"""Hardware profiles, what is in this machine, and what a cell's hardware slug stands for.

A slug is `cpu`, a card such as `t4` that must be in the machine, or `t4-emulated`: the profile of
a card shown to the library while its tensors live on the CPU.
"""

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from harness.cpu_info import Cpu, read_cpu
from harness.errors import ConfigError, HardwareError
from harness.locations import FIXTURES
from harness.nvml import Device, read_devices
from harness.record import HardwareInfo

DEFAULT_PROFILES = FIXTURES / "hardware.toml"
BF16_CAPABILITY = (8, 0)
"""First compute capability with bfloat16 tensor cores: Ampere (CUDA C++ Programming Guide)."""

_EMULATED = "-emulated"
_GIB = 1 << 30

Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
Name = Annotated[str, StringConstraints(min_length=1)]
Capability = Annotated[str, StringConstraints(pattern=r"^\d+\.\d$")]


class Profile(BaseModel):
    """What a kind of hardware can do.

    Attributes:
        names: As NVML and torch report the card; emulation shows the first.
        compute_capability: `7.5`; None for the CPU.
        memory_gib: Total memory in GiB; None for the CPU.
        sm_count: Streaming multiprocessors; None for the CPU and for cards without an entry.
        half_tflops: Peak dense 16-bit tensor TFLOPS from the data sheet, where there is one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    slug: Slug
    names: tuple[Name, ...] = Field(min_length=1)
    compute_capability: Capability | None = None
    memory_gib: float | None = Field(None, gt=0)
    sm_count: int | None = Field(None, gt=0)
    half_tflops: float | None = Field(None, gt=0)

    @property
    def name(self) -> str:
        """The name shown to the library under emulation."""
        return self.names[0]

    @property
    def bf16(self) -> bool:
        """Whether the card has bfloat16; for the CPU ask `Machine.cpu.bf16`.

        Never asked of torch: `torch.cuda.is_bf16_supported()` counts emulated bfloat16 in and
        answers True on a T4.
        """
        if self.compute_capability is None:
            return False
        major, minor = self.compute_capability.split(".")
        return (int(major), int(minor)) >= BF16_CAPABILITY

    @property
    def memory_bytes(self) -> int | None:
        """Total memory in bytes."""
        return None if self.memory_gib is None else int(self.memory_gib * _GIB)


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
        device: CPU model or GPU name of what computes; an emulated card computes on the CPU.
        bf16: Whether the library may use bfloat16 natively on what it is shown.
        memory_bytes: Of the card, or the RAM; an emulated card's is shown, not enforced.
        gpu_uuid: The GPU to make visible to the cell; None when it runs on the CPU.
    """

    slug: str
    kind: Literal["native", "emulated"]
    profile: Profile
    device: str
    bf16: bool
    memory_bytes: int
    gpu_uuid: str | None = None

    def for_payload(self) -> dict[str, Any]:
        """Return what the payload is told, as plain JSON values."""
        return {
            "slug": self.slug,
            "kind": self.kind,
            "bf16": self.bf16,
            "name": self.profile.name,
            "compute_capability": self.profile.compute_capability,
            "memory_bytes": self.memory_bytes,
            "sm_count": self.profile.sm_count,
        }


def load_profiles(path: Path = DEFAULT_PROFILES) -> dict[str, Profile]:
    """Read the hardware profiles, by slug, in file order.

    Raises:
        ConfigError: Not TOML, a bad value, or one card name in two profiles; the message shows it.
    """
    return dict(_load(path))


@cache
def _load(path: Path) -> dict[str, Profile]:
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read the hardware profiles {path}: {error.strerror}.") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not TOML: {error}.") from error
    if data.get("schema") != 1 or not isinstance(data.get("profiles"), dict):
        raise ConfigError(
            f"{path}: schema = {data.get('schema')!r}; expected schema = 1 and [profiles.SLUG] tables."
        )
    profiles = {slug: _parse(slug, fields, path) for slug, fields in data["profiles"].items()}
    owners: dict[str, str] = {}
    for slug, name in ((p.slug, name) for p in profiles.values() for name in p.names):
        if name in owners:
            raise ConfigError(
                f"{path}: profiles.{slug} and profiles.{owners[name]} both name {name!r}."
            )
        owners[name] = slug
    return profiles


def _parse(slug: str, fields: Any, path: Path) -> Profile:
    if not isinstance(fields, dict):
        raise ConfigError(f"{path}: profiles.{slug} = {fields!r}: expected a table.")
    if slug == "gpu" or slug.endswith(_EMULATED):
        raise ConfigError(
            f"{path}: profiles.{slug}: `gpu` stands for any GPU and `...{_EMULATED}` for an emulated "
            "card; choose another slug."
        )
    try:
        profile = Profile.model_validate({**fields, "slug": slug})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(
            f"{path}: profiles.{slug}.{where} = {first.get('input')!r}: {first['msg']}."
        ) from error
    card = (profile.compute_capability, profile.memory_gib, profile.sm_count)
    if (None in card) if slug != "cpu" else any(card):
        raise ConfigError(
            f"{path}: profiles.{slug}: compute_capability, memory_gib, sm_count = {card!r}: "
            "a card has all three, the cpu none."
        )
    return profile


def profile(slug: str) -> Profile:
    """Return the profile of a slug.

    Raises:
        HardwareError: Unknown; the message lists the known ones.
    """
    profiles = load_profiles()
    if slug not in profiles:
        raise HardwareError(
            f"unknown hardware {slug!r}; known: {', '.join(profiles)}. "
            f"Add {slug!r} to {DEFAULT_PROFILES.name}, or choose one of these."
        )
    return profiles[slug]


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
        memory_gib=device.memory_bytes / _GIB,
    )
    return Gpu(**vars(device), profile=made)


def resolve(slug: str, machine: Machine) -> Target:
    """Return what a cell's hardware slug stands for on this machine.

    Raises:
        HardwareError: An unknown slug, or a card that is not in this machine.
    """
    if slug == "cpu":
        cpu = machine.cpu
        return Target(slug, "native", profile(slug), cpu.model, cpu.bf16, cpu.memory_bytes)
    if slug.endswith(_EMULATED):
        return _emulated(slug, machine)
    for gpu in machine.gpus:
        if gpu.slug == slug:
            bf16 = gpu.profile.bf16
            return Target(slug, "native", gpu.profile, gpu.name, bf16, gpu.memory_bytes, gpu.uuid)
    present = ", ".join(["cpu", *(gpu.slug for gpu in machine.gpus)])
    card = profile(slug)
    raise HardwareError(
        f"no such GPU in this machine: {slug} ({card.name}); present: {present}. "
        f"Use {slug}{_EMULATED} to run the library's decisions for that card on the CPU."
    )


def _emulated(slug: str, machine: Machine) -> Target:
    card = profile(slug.removesuffix(_EMULATED))
    if card.compute_capability is None or card.memory_bytes is None:
        raise HardwareError(f"{slug!r}: the CPU is not emulated; use {card.slug}.")
    return Target(slug, "emulated", card, machine.cpu.model, card.bf16, card.memory_bytes)


def to_record(target: Target, machine: Machine, threads: int, parallel_cells: int) -> HardwareInfo:
    """Return the record's description of what a cell ran on.

    Args:
        target: The cell's hardware.
        machine: Where it ran.
        threads: CPU threads of the cell.
        parallel_cells: Cells that shared the machine while it ran.
    """
    return HardwareInfo(
        name=target.slug,
        kind=target.kind,
        device=target.device,
        compute_capability=target.profile.compute_capability,
        bf16=target.bf16,
        memory_bytes=target.memory_bytes,
        cores=machine.cores,
        threads=threads,
        parallel_cells=parallel_cells,
    )
