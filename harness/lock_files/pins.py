"""What a lock file says: one pin a package."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from packaging.utils import NormalizedName


@dataclass(frozen=True)
class Pin:
    """One package at one version.

    Attributes:
        version: Exact, with its local part (`2.10.0+cu128`) where the file has one.
        line: Where the file says the version, from 1.
        hashes: Of the files that may be installed, as `sha256:...`; none where the file has none.
    """

    name: NormalizedName
    version: str
    line: int
    hashes: tuple[str, ...] = ()

    @property
    def public(self) -> str:
        """The version without its local part, as a registry has it."""
        return self.version.partition("+")[0]


@dataclass(frozen=True)
class LockFile:
    """The packages that a file gives a Linux x86-64 machine with the stack's Python.

    Attributes:
        path: As the user or git names it; stands in messages and annotations.
        unpinned: Line by name of the packages that the file asks for without an exact version.
        several: Packages that it gives at more than one version there, in the order of the file.
        follows: Lines such as `-r other.txt`, which are not followed.
    """

    path: str
    pins: Mapping[NormalizedName, Pin]
    unpinned: Mapping[NormalizedName, int] = field(default_factory=dict)
    several: Mapping[NormalizedName, tuple[Pin, ...]] = field(default_factory=dict)
    follows: tuple[str, ...] = ()

    def names(self, name: str) -> bool:
        """Whether the file asks for a package, at whatever version."""
        return any(name in found for found in (self.pins, self.unpinned, self.several))
