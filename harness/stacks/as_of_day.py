"""The stack of any release as of its day: the lock that ships, or one that is resolved once and kept."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from filelock import FileLock

from harness.locations import cache_dir
from harness.record import write_json_atomically
from harness.stacks import kept_locks, locking
from harness.stacks.environments import Say
from harness.stacks.kept_locks import KeptLock
from harness.stacks.stacks_file import Override, read_config

WEEKS = timedelta(weeks=4)
"""How far apart two releases may be for one to be resolved with what the other needs."""


def release_of(
    version: str,
    uploaded: datetime,
    overrides: Sequence[Override] = (),
    say: Say = lambda message: None,
) -> str:
    """Return the release that names a version's stack: itself where its lock ships, else a kept lock.

    Args:
        version: Of Unsloth.
        uploaded: When it was; its packages are those of the midnight (UTC) that ends that day.
        overrides: Requirements to resolve with, in place of the lock that ships, too.
        say: Told what is resolved.

    Raises:
        NoSolutionError: No set of packages meets the requirements.
        StackBuildError: The registry cannot be asked.
    """
    config = read_config()
    if version in config.releases and not overrides:
        return version
    note = _note(version, overrides)
    note.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{note}.lock"):
        known = _known(note)
        if known is not None:
            return known
        cutoff = locking.end_of_day(uploaded)
        say(f"resolving unsloth {version} as of {cutoff}")
        packages, used = locking.resolve_release(version, cutoff, overrides, config)
        said = [f"resolved as of {cutoff}"]
        said += [f"resolved with {override.requirement}: {override.reason}" for override in used]
        lock = locking.lock_text(packages)
        kept = KeptLock(version=version, python=config.python, lock=lock, said=tuple(said))
        release = kept_locks.keep(kept)
        write_json_atomically(note, json.dumps(release) + "\n")
    return release


def lent_overrides(
    version: str, uploaded: datetime, message: str
) -> tuple[str, tuple[Override, ...]] | None:
    """Return what stacks.toml resolves a release of the same weeks with, if a failure is about that.

    Args:
        version: Release that did not train as of its day.
        uploaded: When it was.
        message: What it ended with; an override helps only where its package is named in it.

    Returns:
        The release nearest in time that pins such a package, and its overrides; None if there is none
        within `WEEKS`.
    """
    lending: dict[timedelta, tuple[str, tuple[Override, ...]]] = {}
    for name, release in read_config().releases.items():
        pinned = tuple(
            override
            for override in release.overrides
            if "==" in override.requirement
            and locking.name_of(override.requirement) in message.lower()
        )
        apart = abs(datetime.fromisoformat(release.cutoff) - uploaded)
        if pinned and name != version and apart <= WEEKS:
            lending[apart] = name, pinned
    return lending[min(lending)] if lending else None


def _note(version: str, overrides: Sequence[Override]) -> Path:
    pins = [override.requirement for override in overrides]
    return cache_dir() / "locks" / "as-of-day" / f"{'+'.join([version, *pins])}.json"


def _known(note: Path) -> str | None:
    try:
        release = str(json.loads(note.read_text(encoding="utf-8")))
        kept_locks.find(release)
    except (OSError, ValueError, LookupError):
        return None  # It is resolved again.
    return release
