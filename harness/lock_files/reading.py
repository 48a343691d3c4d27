"""One way to read a lock file, whatever its format.

A format is a module of this package that is `Format`. A new one is a new file, and its name in `_FORMATS`.
"""

from fnmatch import fnmatchcase
from pathlib import PurePath
from typing import Protocol

from harness.errors import InputError
from harness.lock_files import poetry_lock, pylock, requirements, uv_lock
from harness.lock_files.pins import LockFile
from harness.lock_files.target import WHERE

STACK_ROOT = "unsloth"
"""The package whose dependencies are the fine-tuning stack."""
_HOW_TO_PIN = "Pin every version: `uv pip compile requirements.in --generate-hashes -o requirements.txt`, or `uv lock`."


class Format(Protocol):
    """What the module of a format has."""

    @property
    def NAMES(self) -> tuple[str, ...]:  # noqa: N802 (a constant of a module)
        """Patterns of its files' names, or of the name with its folder."""

    def knows(self, text: str, path: str) -> bool:
        """Whether a file, whatever its name, is of this format."""

    def parse(self, text: str, path: str, *, everything: bool) -> LockFile:
        """Read one.

        Args:
            text: Its content.
            path: Its name in messages.
            everything: With every extra and dependency group; else what the project installs without any.

        Raises:
            InputError: It cannot be read.
        """


_FORMATS: tuple[Format, ...] = (uv_lock, poetry_lock, pylock, requirements)
"""The first that knows a file reads it; the last knows any."""


def is_lock_file(path: str) -> bool:
    """Whether a path of a repository is that of a lock file, by its name."""
    name, tail = PurePath(path).name, "/".join(PurePath(path).parts[-2:])
    patterns = [pattern for one in _FORMATS for pattern in one.NAMES]
    return any(fnmatchcase(name, known) or fnmatchcase(tail, known) for known in patterns)


def read(text: str, path: str) -> LockFile:
    """Read a lock file; with its extras and groups where only those have Unsloth.

    Args:
        text: Its content.
        path: Its name.

    Raises:
        InputError: It cannot be read.
    """
    known = next(one for one in _FORMATS if one.knows(text, path))
    found = known.parse(text, path, everything=False)
    return found if found.names(STACK_ROOT) else known.parse(text, path, everything=True)


def require_stack(lock: LockFile) -> None:
    """See that a lock file pins Unsloth.

    Raises:
        InputError: It does not; the message says whether for want of it or of an exact version.
    """
    if STACK_ROOT in lock.pins:
        return
    if STACK_ROOT in lock.unpinned:
        raise unpinned(lock, [STACK_ROOT])
    if STACK_ROOT in lock.several:
        raise undecided(lock, [STACK_ROOT])
    more = f" It does not follow {', '.join(lock.follows)}: name that file." if lock.follows else ""
    raise InputError(
        f"{lock.path} has no {STACK_ROOT} for {WHERE}, so there is no fine-tuning stack to "
        f"compare. Name the lock file that pins it with --file.{more}"
    )


def unpinned(lock: LockFile, names: list[str]) -> InputError:
    """Return the error that some packages of the stack have no exact version."""
    shown = ", ".join(f"{name} ({lock.path}:{lock.unpinned[name]})" for name in names)  # type: ignore[index]
    return InputError(f"no exact version of {shown}. {_HOW_TO_PIN}")


def undecided(lock: LockFile, names: list[str]) -> InputError:
    """Return the error that some packages of the stack have more than one version, and none that decides."""
    shown = "; ".join(
        f"{name} at {' and '.join(f'{pin.version} (line {pin.line})' for pin in lock.several[name])}"  # type: ignore[index]
        for name in names
    )
    return InputError(
        f"{lock.path} has {shown} for {WHERE}, and the stack's own bounds take neither. Bound it in pyproject.toml and "
        "lock again, with Poetry 2: an older one does not write for which machine each is."
    )
