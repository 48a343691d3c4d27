"""Stacks: exact package versions as of a release's day, and the departures a machine forces."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from harness.errors import ConfigError, UnknownStackError
from harness.record import StackInfo
from harness.stacks import kept_locks
from harness.stacks.stacks_file import (
    STACKS_DIR,
    Family,
    Override,
    StacksFile,
    Where,
    in_order,
    read_config,
)

CURRENT = "current"
"""The stack that is the environment the harness itself runs in."""
FRONTIER = "frontier"
"""The stack of the newest published packages, resolved when it is used."""
LIVE = (CURRENT, FRONTIER)
"""Stacks that no lock describes, in the order in which releases are compared: after all versions."""

_NAME = re.compile(
    rf"(?P<family>unsloth|reference)-(?P<release>(?P<version>\d[\w.]*)({kept_locks.MARK}[0-9a-f]{{8}})?)"
)


@dataclass(frozen=True)
class Stack:
    """A family at a release, for a CPU or a GPU, with its lock after every departure.

    Attributes:
        lock: Text of the requirements file that is installed, hashes included.
        overrides: Every departure from what the release resolved to, in words.
        alias: The name of a stack that its release alone does not name (`current`, `frontier`, a kept lock's).
        interpreter: The Python of an environment that exists already; the harness builds none.
        wheels: Files that it is installed from, over this machine's own packages (`harness.stacks.wheelhouse`);
            None: from a registry.
    """

    family: Family
    release: str
    where: Where
    python: str
    lock: str
    overrides: tuple[str, ...]
    alias: str | None = None
    interpreter: Path | None = None
    wheels: tuple[Path, ...] | None = None

    @property
    def name(self) -> str:
        """The name that cell ids begin with."""
        return self.alias or f"{self.family}-{self.release}"

    @property
    def digest(self) -> str:
        """Twelve hex digits over the lock and the Python version."""
        return hashlib.sha256(f"{self.python}\n{self.lock}".encode()).hexdigest()[:12]

    @property
    def versions(self) -> dict[str, str]:
        """Version by package name, as the lock has them."""
        return versions_of(self.lock)

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
    return in_order(_config().releases)


def parse_name(name: str) -> tuple[Family, str]:
    """Split a stack's name into family and release; `frontier` keeps its name as the release.

    Returns:
        The release without the digest of a kept lock.

    Raises:
        UnknownStackError: No such family, no lock for that release, or `current` where the harness's
            own environment cannot train.
    """
    if name == FRONTIER:
        return "unsloth", FRONTIER
    if name == CURRENT:
        current = load_stack(CURRENT, "cpu")
        return current.family, current.release
    match = _NAME.fullmatch(name)
    family, release = (match["family"], match["release"]) if match else ("", "")
    if match and kept_locks.is_kept(release):
        kept_locks.find(release)
    elif not match or release not in _config().releases:
        known = ", ".join(releases())
        raise UnknownStackError(
            f"unknown stack {name!r}: a stack is unsloth-RELEASE, reference-RELEASE, current or "
            f"frontier, and releases with a lock are {known}. "
            f"`harness stack add {release or 'RELEASE'}` locks another."
        )
    return ("unsloth" if family == "unsloth" else "reference"), match["version"]


@cache
def load_stack(name: str, where: Where) -> Stack:
    """Read a stack's lock and apply the departures that hold for it.

    `current` is looked up in the harness's own environment; `frontier` is resolved (once a day).

    Raises:
        UnknownStackError: No such stack, or not in the wheelhouse that HARNESS_WHEELHOUSE names.
        ConfigError: stacks.toml or the lock cannot be used.
        StackBuildError: `frontier` cannot be resolved.
    """
    if name in LIVE:
        from harness.stacks import live as live_stacks  # builds on this module

        return live_stacks.current(where) if name == CURRENT else live_stacks.frontier(where)
    family, release = parse_name(name)
    if kept_locks.is_kept(name):
        return _kept(name, family, where)
    lock = untouched_lock(release)
    stack = assemble(_config(), family, release, where, lock, _config().releases[release].overrides)
    from harness.stacks import wheelhouse  # builds on this module

    house = wheelhouse.folder()
    return wheelhouse.stack(stack, house) if house else stack


def assemble(
    config: StacksFile,
    family: Family,
    release: str,
    where: Where,
    lock: str,
    overrides: Sequence[Override] = (),
) -> Stack:
    """Apply to a lock the departures that hold for a family, a release and a kind of machine.

    Args:
        config: Where the departures are.
        family: The stack's family.
        release: Version of Unsloth that the lock belongs to.
        where: Kind of machine.
        lock: Untouched lock.
        overrides: What it was resolved with.
    """
    entries = entries_of(lock)
    said = [f"resolved with {override.requirement}: {override.reason}" for override in overrides]
    for departure in config.departures:
        if departure.holds_for(family, release, where):
            said += departure.apply(entries)
    departed = "".join(entry + "\n" for _, entry in sorted(entries.items()))
    return Stack(family, release, where, config.python, departed, tuple(said))


def lock_path(release: str, stacks_dir: Path = STACKS_DIR) -> Path:
    """Return where a release's lock is, or would be."""
    return stacks_dir / f"unsloth-{release}.lock"


def versions_of(lock: str) -> dict[str, str]:
    """Return version by package name of a lock."""
    return {
        package: entry.split()[0].removeprefix(f"{package}==")
        for package, entry in entries_of(lock).items()
    }


def entries_of(lock: str) -> dict[str, str]:
    """Return a lock's entries by package: a line each, and the indented hashes below it."""
    entries = re.split(r"\n(?=[A-Za-z0-9])", lock.strip())
    return {re.split(r"[=<>~! @;\[]", entry, maxsplit=1)[0]: entry for entry in entries}


def untouched_lock(release: str) -> str:
    """Return a release's lock, shipped or kept, without any departure.

    Raises:
        UnknownStackError: There is none.
        ConfigError: It cannot be read.
    """
    if kept_locks.is_kept(release):
        return kept_locks.find(release).lock
    lock_file = lock_path(release)
    try:
        return lock_file.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"{lock_file}: {error.strerror}; stacks.toml names this release."
        ) from error


def packages_of_shipped_locks() -> frozenset[str]:
    """Return the name of every package that a shipped lock has."""
    locks = map(untouched_lock, releases())
    return frozenset(name for lock in locks for name in versions_of(lock))


def reload() -> None:
    """Forget what was read of stacks.toml and the locks, after they have changed."""
    _config.cache_clear()
    load_stack.cache_clear()


def _kept(name: str, family: Family, where: Where) -> Stack:
    kept = kept_locks.find(name.removeprefix(f"{family}-"))
    stack = assemble(_config(), family, kept.version, where, kept.lock)
    said = (*kept.said, *stack.overrides)
    return replace(stack, python=kept.python, overrides=said, alias=name)


@cache
def _config() -> StacksFile:
    return read_config()
