"""What a killed process leaves behind: work folders and half-written files, removed by the next run.

Whoever uses one holds its lock (flock). The kernel drops a lock with the process that holds it, however it
ends; so what nobody holds is of nobody, in any container and after any restart. A process id would not tell.
"""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.errors import StorageError

_PREFIX = "lora-gate-"
_PARTIAL = ".partial"


@contextmanager
def work_folder(kind: str) -> Iterator[Path]:
    """Give a temporary folder that is gone afterwards, or after the next run if this process is killed.

    Args:
        kind: Stands in its name: `cell`, `uv`.

    Raises:
        StorageError: It cannot be made.
    """
    folder, lock = _new_folder(kind)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def remove_folders() -> list[Path]:
    """Remove this user's work folders that nobody holds; return them."""
    found = []
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        lock = _take(folder)
        if lock is None:
            continue
        try:
            if folder.is_dir() and os.fstat(lock).st_uid == os.getuid():
                shutil.rmtree(folder, ignore_errors=True)
                found.append(folder)
        finally:
            os.close(lock)
    return found


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a file to write in place of `path`, which it replaces when all went well: whole or not at all.

    Raises:
        StorageError: The folder is not writable or the disk is full; nothing half-written stays.
    """
    temporary, lock = None, None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary, lock = _new_file(path)
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        raise StorageError(
            f"cannot write {path}: {error.strerror}. Free some space or choose another folder; "
            "records written so far are kept."
        ) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
        if lock is not None:
            os.close(lock)


def remove_files(folders: Iterable[Path]) -> list[Path]:
    """Remove what `whole_file` left half-written in some folders and nobody holds; return it."""
    found = []
    for folder in folders:
        for path in folder.glob(f".*{_PARTIAL}"):
            lock = _take(path)
            if lock is None:
                continue
            try:
                path.unlink(missing_ok=True)
                found.append(path)
            except OSError:
                pass  # A folder that may be read only.
            finally:
                os.close(lock)
    return found


def _new_folder(kind: str) -> tuple[Path, int | None]:
    while True:
        try:
            folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{kind}-")).resolve()
        except OSError as error:
            raise StorageError(
                f"cannot make a folder in {tempfile.gettempdir()}, where cells work: {error.strerror}. Free some "
                "space, or set TMPDIR to a folder that has it."
            ) from error
        is_ours, lock = _lock_new(folder)
        if is_ours:
            return folder, lock


def _new_file(path: Path) -> tuple[Path, int | None]:
    while True:
        handle, name = tempfile.mkstemp(_PARTIAL, f".{path.name}.", path.parent)
        os.close(handle)
        is_ours, lock = _lock_new(Path(name))
        if is_ours:
            return Path(name), lock


def _lock_new(path: Path) -> tuple[bool, int | None]:
    """Lock what was just made; False where another run looked before, and has taken it for abandoned."""
    try:
        lock = _lock(path)
    except (BlockingIOError, FileNotFoundError):
        return False, None
    except OSError:
        return True, None  # A file system without locks: nobody else can take it either.
    if path.exists():
        return True, lock
    os.close(lock)
    return False, None


def _take(path: Path) -> int | None:
    """Take the lock of what may be abandoned; None where somebody holds it, or it is gone."""
    try:
        return _lock(path)
    except OSError:
        return None


def _lock(path: Path) -> int:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
