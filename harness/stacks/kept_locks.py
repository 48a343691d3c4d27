"""Locks beside those that ship: a user's own, and those that a search over releases made, by their digest.

They are kept in the cache folder. A stack of one is named `unsloth-2026.10.9@4f2a91c0` (or `reference-...`):
the version of Unsloth in the lock, and the lock's digest, so that the name means the same packages for ever.
"""

import hashlib
from pathlib import Path

from pydantic import ConfigDict, ValidationError

from harness.errors import ConfigError, UnknownStackError, first_problem
from harness.locations import cache_dir
from harness.record import write_json_atomically
from harness.strict_json import StrictModel

MARK = "@"
"""Stands in a release between the version and the digest of a kept lock."""


class KeptLock(StrictModel):
    """A lock that no file of the repository holds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: str
    """Version of Unsloth in it."""
    python: str
    """Version of Python that it is for, `3.11`."""
    lock: str
    """Text of the requirements file: exact versions with hashes, untouched by departures."""
    said: tuple[str, ...] = ()
    """How it came about, in words; goes into the record with the departures."""

    @property
    def release(self) -> str:
        """What stands for it in `--releases` and in the name of its stacks: `2026.10.9@4f2a91c0`."""
        digest = hashlib.sha256(f"{self.python}\n{self.lock}".encode()).hexdigest()
        return f"{self.version}{MARK}{digest[:8]}"


def keep(kept: KeptLock) -> str:
    """Keep a lock in the cache folder; return the release that names it.

    Raises:
        StorageError: It cannot be written.
    """
    write_json_atomically(_path(kept.release), kept.model_dump_json(indent=1) + "\n")
    return kept.release


def find(release: str) -> KeptLock:
    """Read the kept lock that a release names.

    Raises:
        UnknownStackError: This machine has kept no such lock.
        ConfigError: The file is not one that `keep` wrote.
    """
    path = _path(release)
    try:
        return KeptLock.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        raise UnknownStackError(
            f"no lock is kept for {release!r} here ({path}). Give its lock file again to the command that "
            "named it."
        ) from None
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}.") from error
    except ValidationError as error:
        raise ConfigError(
            f"{path}: {first_problem(error, 'file')}. Delete it, and give its lock file again."
        ) from error


def is_kept(release: str) -> bool:
    """Whether a release names a kept lock."""
    return MARK in release


def _path(release: str) -> Path:
    return cache_dir() / "locks" / f"{release}.json"
