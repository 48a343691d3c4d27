"""Add a stack: resolve a release as of its day, lock it, build it, see that it imports."""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from filelock import FileLock

from harness.errors import ConfigError, StackBuildError, UnknownStackError
from harness.inspection import Inspection, inspect_environment
from harness.locations import cache_dir
from harness.record import write_json_atomically
from harness.stacks import environments, locking
from harness.stacks import stack as stacks
from harness.stacks.environments import Say
from harness.stacks.locking import Package
from harness.stacks.stacks_file import (
    STACKS_DIR,
    Override,
    Release,
    StacksFile,
    Where,
    read_config,
    with_release,
)

LATEST = "latest"

_VERSION = re.compile(r"\d[\w.]*")
_SHOWN = ("unsloth-zoo", "transformers", "trl", "peft", "torch", "triton")


@dataclass(frozen=True)
class AddedStack:
    """What `add` did.

    Attributes:
        status: `present`: it was there, nothing was done. `unchanged`: locked again to the same
            bytes. `changed`: to others. `added`: new.
        cutoff: RFC 3339 timestamp that it was resolved at.
        versions: Version by package of the untouched lock.
        overrides: Every departure of the stack as built, in words; empty if `present`.
        inspection: What the built environment holds and imports; None if `present`.
        build_s: Wall seconds of building, 0 if the environment was there.
    """

    release: str
    status: Literal["present", "unchanged", "changed", "added"]
    cutoff: str
    lock_file: Path
    versions: dict[str, str]
    overrides: tuple[str, ...] = ()
    inspection: Inspection | None = None
    build_s: float = 0.0


def add(
    release: str,
    stacks_dir: Path = STACKS_DIR,
    say: Say = lambda message: None,
    *,
    refresh: bool = False,
    where: Where = "cpu",
    overrides: Sequence[Override] = (),
) -> AddedStack:
    """Resolve a release as of its upload day, build and inspect it, then write lock and entry.

    Nothing is written unless the environment could be built and imports.

    Args:
        release: Version of Unsloth, or `latest` for the newest on the registry.
        stacks_dir: Folder of stacks.toml and the locks.
        say: Told each step.
        refresh: Lock again a release that has a lock, with the overrides and cutoff that it has.
        where: Kind of machine that the environment is built for.
        overrides: Requirements to resolve with, for a release that has no solution untouched, or one
            that does not work. A version of a later day than the release's is looked up.

    Raises:
        UnknownStackError: Not a version, or not on the registry; the message names the nearest.
        StackBuildError: No network, no solution, no build, or an environment that does not import.
        ConfigError: stacks.toml cannot be used.
        StorageError: The lock or stacks.toml cannot be written.
    """
    if release != LATEST and not _VERSION.fullmatch(release):
        raise UnknownStackError(
            f"{release!r} is not a version of Unsloth: give one as 2026.10.9, or `{LATEST}`."
        )
    config = read_config(stacks_dir)
    if release == LATEST or release not in config.releases:
        found = _published(release)
        release = found.version
    else:
        found = None
    lock_file = stacks.lock_path(release, stacks_dir)
    present = config.releases.get(release)
    before = lock_file.read_text(encoding="utf-8") if present and lock_file.exists() else None
    if present and before is not None and not refresh:
        say(f"unsloth-{release} has a lock, as of {present.cutoff}; nothing to do")
        return AddedStack(release, "present", present.cutoff, lock_file, stacks.versions_of(before))
    entry, lock = _resolve(release, found, present, config, overrides, say)
    stack = stacks.assemble(config, "unsloth", release, where, lock, entry.overrides)
    started = time.monotonic()
    built = environments.is_built(stack)
    environments.ensure(stack, say)
    build_s = 0.0 if built else time.monotonic() - started
    say(f"importing from {stack.name} ({where})")
    inspection = inspect_environment(stack)
    if inspection.faults:
        raise StackBuildError(
            f"stack {stack.name} ({where}) was built and does not work: "
            f"{'; '.join(inspection.faults)}. Nothing was added. Give another version of what is at "
            f"fault with --override 'PACKAGE==VERSION' --because 'WHY', or a departure in "
            f"{stacks_dir / 'stacks.toml'}."
        )
    _write(release, entry, lock, stacks_dir)
    status: Literal["added", "unchanged", "changed"] = "added"
    if before is not None:
        status = "unchanged" if before == lock else "changed"
    say(f"{status} unsloth-{release}: {lock_file}")
    versions = stacks.versions_of(lock)
    return AddedStack(
        release, status, entry.cutoff, lock_file, versions, stack.overrides, inspection, build_s
    )


def _published(release: str) -> Package:
    found = locking.published("unsloth" if release == LATEST else f"unsloth=={release}")
    if found is not None:
        return found
    near = [
        locking.published(f"unsloth<{release}"),
        locking.published(f"unsloth>{release}", lowest=True),
    ]
    names = " and ".join(package.version for package in near if package is not None)
    raise UnknownStackError(
        f"the registry has no unsloth {release}"
        + (f"; the nearest are {names}." if names else ".")
        + " Releases: https://pypi.org/project/unsloth/#history"
    )


def _resolve(
    release: str,
    found: Package | None,
    present: Release | None,
    config: StacksFile,
    overrides: Sequence[Override],
    say: Say,
) -> tuple[Release, str]:
    if present is not None:
        cutoff, overrides = present.cutoff, overrides or present.overrides
    else:
        found = found or _published(release)
        if found.uploaded is None:
            raise StackBuildError(
                f"the index does not say when unsloth {release} was uploaded (PEP 700), so it cannot "
                "be resolved as of its day. Use an index that does, such as https://pypi.org/simple."
            )
        cutoff = locking.end_of_day(found.uploaded)
        say(f"unsloth {release} was uploaded {found.uploaded:%Y-%m-%d %H:%M} UTC")
    dated = [_dated(override, cutoff) for override in overrides]
    packages, used = locking.resolve_release(release, cutoff, dated, config)
    lock = locking.lock_text(packages)
    versions = stacks.versions_of(lock)
    shown = ", ".join(f"{name} {versions[name]}" for name in _SHOWN if name in versions)
    say(f"as of {cutoff}: {len(packages)} packages, {shown}")
    for override in used:
        say(f"resolved with {override.requirement}: {override.reason}")
    return Release(cutoff=cutoff, overrides=used), lock


def _dated(override: Override, cutoff: str) -> Override:
    """Lift the cutoff, for an overriding package alone, where its version is of a later day."""
    pinned = "==" in override.requirement and override.uploaded_before is None
    found = locking.published(override.requirement) if pinned else None
    if found is None or found.uploaded is None:
        return override
    day = locking.end_of_day(found.uploaded)
    return override.model_copy(update={"uploaded_before": day}) if day > cutoff else override


def _write(release: str, entry: Release, lock: str, stacks_dir: Path) -> None:
    path = stacks_dir / "stacks.toml"
    cache_dir().mkdir(parents=True, exist_ok=True)
    with FileLock(cache_dir() / "stacks.toml.lock"):
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise ConfigError(f"cannot read {path}: {error.strerror}.") from error
        changed = with_release(text, release, entry, path)
        # The lock first: a lock without an entry is nothing, an entry without its lock an error.
        write_json_atomically(stacks.lock_path(release, stacks_dir), lock)
        write_json_atomically(path, changed)
    stacks.reload()
