"""Stacks: exact package versions as of a release's day, and the environments built from them."""

import fnmatch
import hashlib
import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from harness.errors import ConfigError, UnknownStackError
from harness.locations import FIXTURES
from harness.record import StackInfo

Family = Literal["unsloth", "reference"]
Where = Literal["cpu", "gpu"]

_STACKS = FIXTURES / "stacks"
_NAME = re.compile(r"(?P<family>unsloth|reference)-(?P<release>\d[\w.]*)")


@dataclass(frozen=True)
class Stack:
    """A family at a release, for a CPU or a GPU, with its lock after every departure.

    Attributes:
        lock: Text of the requirements file that is installed, hashes included.
        overrides: Every departure from what the release resolved to, in words.
    """

    family: Family
    release: str
    where: Where
    python: str
    lock: str
    overrides: tuple[str, ...]

    @property
    def name(self) -> str:
        """The name that cell ids begin with."""
        return f"{self.family}-{self.release}"

    @property
    def digest(self) -> str:
        """Twelve hex digits over the lock and the Python version."""
        return hashlib.sha256(f"{self.python}\n{self.lock}".encode()).hexdigest()[:12]

    def info(self) -> StackInfo:
        """Return the record's description of this stack."""
        return StackInfo(
            name=self.name,
            family=self.family,
            release=self.release,
            lock_digest=self.digest,
            python=self.python,
            overrides=list(self.overrides),
        )


def releases() -> list[str]:
    """Return the releases that have a lock, oldest first."""
    found: list[str] = list(_config()["releases"])
    return sorted(found, key=lambda release: [int(part) for part in re.findall(r"\d+", release)])


def parse_name(name: str) -> tuple[Family, str]:
    """Split a stack's name into family and release.

    Raises:
        UnknownStackError: No such family, or no lock for that release.
    """
    match = _NAME.fullmatch(name)
    family, release = (match["family"], match["release"]) if match else ("", "")
    if not match or release not in _config()["releases"]:
        known = ", ".join(releases())
        raise UnknownStackError(
            f"unknown stack {name!r}: a stack is unsloth-RELEASE or reference-RELEASE, "
            f"and releases with a lock are {known}. "
            "Add a release with an entry in fixtures/stacks/stacks.toml and its lock."
        )
    return ("unsloth" if family == "unsloth" else "reference"), release


@cache
def load_stack(name: str, where: Where) -> Stack:
    """Read a stack's lock and apply the departures that hold for it.

    Raises:
        UnknownStackError: No such stack.
        ConfigError: stacks.toml or the lock cannot be used.
    """
    family, release = parse_name(name)
    config = _config()
    lock_file = _STACKS / f"unsloth-{release}.lock"
    try:
        entries = _split(lock_file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{lock_file}: {error.strerror}; stacks.toml names this release") from error
    overrides = [
        f"resolved with {o['requirement']}: {o['reason']}"
        for o in config["releases"][release].get("overrides", [])
    ]
    for departure in config["departures"]:
        if departure.get("where", where) == where and departure.get("family", family) == family:
            overrides.extend(_apply(departure, entries))
    lock = "".join(entry + "\n" for _, entry in sorted(entries.items()))
    return Stack(family, release, where, config["python"], lock, tuple(overrides))


def _apply(departure: dict[str, Any], entries: dict[str, str]) -> list[str]:
    reason = departure["reason"]
    if "replace" in departure:
        package = departure["replace"]
        if package not in entries:
            return []
        was = entries[package].split()[0]
        hashes = "".join(f" \\\n    --hash={value}" for value in departure["hashes"])
        entries[package] = departure["with"] + hashes
        return [f"{was} replaced by {departure['with']}: {reason}"]
    dropped = [
        package
        for package in sorted(entries)
        if any(fnmatch.fnmatch(package, pattern) for pattern in departure["drop"])
    ]
    for package in dropped:
        del entries[package]
    return [f"without {', '.join(dropped)}: {reason}"] if dropped else []


def _split(lock: str) -> dict[str, str]:
    # One entry a package: its line and the indented hashes below it.
    entries = re.split(r"\n(?=[A-Za-z0-9])", lock.strip())
    return {re.split(r"[=<>~! @;\[]", entry, maxsplit=1)[0]: entry for entry in entries}


@cache
def _config() -> dict[str, Any]:
    path = _STACKS / "stacks.toml"
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error
