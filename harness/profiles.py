"""What each kind of hardware can do: the profiles of fixtures/hardware.toml."""

from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    StringConstraints,
    ValidationError,
)

from harness.errors import ConfigError, HardwareError, first_problem
from harness.locations import FIXTURES
from harness.toml_file import read_table

DEFAULT_PROFILES = FIXTURES / "hardware.toml"
BF16_CAPABILITY = (8, 0)
"""First compute capability with bfloat16 tensor cores: Ampere (CUDA C++ Programming Guide)."""
EMULATED = "-emulated"
"""Ends the slug of a card that is shown to the library while its tensors live on the CPU."""
OVER = "-over-"
"""Joins the slug of a card that is shown and of the bigger one that computes: `t4-over-h100`."""
GIB = 1 << 30

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
        accelerator: Ray's name of the card (ray.util.accelerators); None where Ray has none.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    slug: Slug
    names: tuple[Name, ...] = Field(min_length=1)
    compute_capability: Capability | None = None
    memory_gib: PositiveFloat | None = None
    sm_count: PositiveInt | None = None
    half_tflops: PositiveFloat | None = None
    accelerator: Name | None = None

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
        return self.capability >= BF16_CAPABILITY

    @property
    def capability(self) -> tuple[int, int]:
        """Compute capability as numbers that can be compared: (7, 5); (0, 0) for the CPU."""
        major, minor = (self.compute_capability or "0.0").split(".")
        return int(major), int(minor)

    @property
    def memory_bytes(self) -> int | None:
        """Total memory in bytes."""
        return None if self.memory_gib is None else int(self.memory_gib * GIB)


def load_profiles(path: Path | None = None) -> dict[str, Profile]:
    """Read the hardware profiles, by slug, in file order.

    Args:
        path: Another file than the harness's own.

    Raises:
        ConfigError: Not TOML, a bad value, or one card name in two profiles; the message shows it.
    """
    return dict(_load(path or DEFAULT_PROFILES))


@cache
def _load(path: Path) -> dict[str, Profile]:
    data = read_table(path, "the hardware profiles")
    if data.get("schema") != 1 or not isinstance(data.get("profiles"), dict):
        raise ConfigError(
            f"{path}: schema = {data.get('schema')!r}; "
            "expected schema = 1 and [profiles.SLUG] tables."
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


def is_shown(slug: str) -> bool:
    """Whether a slug is of a card that the library is only shown, on the CPU or over another card."""
    return slug.endswith(EMULATED) or OVER in slug


def _parse(slug: str, fields: Any, path: Path) -> Profile:
    if not isinstance(fields, dict):
        raise ConfigError(f"{path}: profiles.{slug} = {fields!r}: expected a table.")
    if slug == "gpu" or is_shown(slug):
        raise ConfigError(
            f"{path}: profiles.{slug}: `gpu` stands for any GPU, `...{EMULATED}` and `...{OVER}...` "
            "for an emulated card; choose another slug."
        )
    try:
        profile = Profile.model_validate({**fields, "slug": slug})
    except ValidationError as error:
        raise ConfigError(f"{path}: profiles.{slug}.{first_problem(error)}.") from error
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
