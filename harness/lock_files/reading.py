"""One way to read a lock file, whatever its format."""

from fnmatch import fnmatchcase
from pathlib import PurePath

from harness.errors import InputError
from harness.lock_files import requirements, uv_lock
from harness.lock_files.pins import LockFile

STACK_ROOT = "unsloth"
"""The package whose dependencies are the fine-tuning stack."""
_KNOWN = ("uv.lock", "requirements*.txt", "requirements/*.txt", "*-requirements.txt")
_HOW_TO_PIN = "Pin every version: `uv pip compile requirements.in --generate-hashes -o requirements.txt`, or `uv lock`."


def is_lock_file(path: str) -> bool:
    """Whether a path of a repository is that of a lock file, by its name."""
    name, tail = PurePath(path).name, "/".join(PurePath(path).parts[-2:])
    return any(fnmatchcase(name, known) or fnmatchcase(tail, known) for known in _KNOWN)


def read(text: str, path: str) -> LockFile:
    """Read a lock file: `uv.lock` by its name, else a requirements file.

    Args:
        text: Its content.
        path: Its name.

    Raises:
        InputError: It cannot be read.
    """
    if PurePath(path).suffix == ".lock" and text.lstrip().startswith("version = "):
        return uv_lock.parse(text, path, STACK_ROOT)
    return requirements.parse(text, path)


def require_stack(lock: LockFile) -> None:
    """See that a lock file pins Unsloth.

    Raises:
        InputError: It does not; the message says whether for want of it or of an exact version.
    """
    if STACK_ROOT in lock.pins:
        return
    if STACK_ROOT in lock.unpinned:
        raise unpinned(lock, [STACK_ROOT])
    more = f" It does not follow {', '.join(lock.follows)}: name that file." if lock.follows else ""
    raise InputError(
        f"{lock.path} has no {STACK_ROOT} for Linux x86-64 with Python 3.11, so there is no fine-tuning stack to "
        f"compare. Name the lock file that pins it with --file.{more}"
    )


def unpinned(lock: LockFile, names: list[str]) -> InputError:
    """Return the error that some packages of the stack have no exact version."""
    shown = ", ".join(f"{name} ({lock.path}:{lock.unpinned[name]})" for name in names)  # type: ignore[index]
    return InputError(f"no exact version of {shown}. {_HOW_TO_PIN}")
