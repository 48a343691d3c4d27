"""What an update moves of the fine-tuning stack, with the two locks that are compared."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import ConfigDict, ValidationError

from harness.errors import ConfigError, InputError, first_problem
from harness.lock_files import LockFile, git_files, read
from harness.lock_files.reading import STACK_ROOT
from harness.lock_files.stack_lock import StackLock, keep_stack
from harness.stacks import kept_locks
from harness.stacks.kept_locks import KeptLock
from harness.strict_json import StrictModel

UPDATE_VERSION: Literal[1] = 1
_FIRST = (STACK_ROOT, "unsloth-zoo", "transformers", "trl", "peft", "torch", "accelerate")


class Moved(StrictModel):
    """One package of the stack that the update adds, removes, or takes to another version."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    old: str | None
    """Version before; None where it was not there."""
    new: str | None
    """Version after; None where it is gone."""
    line: int | None
    """Where the new file says its version, from 1; None where it does not name it."""

    @property
    def words(self) -> str:
        """`trl 0.22.2 -> 0.23.0`, `json5 0.17.3 added`, `json5 0.17.3 removed`."""
        if self.old is None:
            return f"{self.name} {self.new} added"
        return f"{self.name} {self.old} " + (f"-> {self.new}" if self.new else "removed")


class Update(StrictModel):
    """One lock file before and after."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = UPDATE_VERSION
    """Of update.json; a file of before the field is of version 1."""
    file: str
    """Path of the new side, as messages and annotations name it; empty where no lock file changed."""
    old: KeptLock | None = None
    """The stack before; None where nothing moved."""
    new: KeptLock | None = None
    """The stack after."""
    moved: tuple[Moved, ...] = ()
    """What differs, the packages that matter most first."""

    @property
    def releases(self) -> tuple[str, ...]:
        """What stands for both sides in a matrix, the old one first; empty where nothing moved."""
        return (self.old.release, self.new.release) if self.old and self.new else ()

    def where(self, moved: Moved) -> str:
        """Say on which line a move is: `requirements.txt:14`."""
        return f"{self.file}:{moved.line}" if moved.line else self.file


def between(old: LockFile, new: LockFile) -> Update:
    """Return what an update moves of the stack; keeps both locks.

    Raises:
        InputError: A side has no stack, or not one of exact versions.
        StackBuildError: The registry cannot be asked.
    """
    before, after = keep_stack(old), keep_stack(new)
    moved = [
        Moved(
            name=name,
            old=before.versions.get(name),
            new=after.versions.get(name),
            line=after.pins[name].line if name in after.pins else None,
        )
        for name in sorted({*before.versions, *after.versions}, key=_rank)
        if before.versions.get(name) != after.versions.get(name)
    ]
    if not moved:
        return Update(file=new.path)
    return Update(file=new.path, old=_kept(before), new=_kept(after), moved=tuple(moved))


def of_files(old: Path, new: Path) -> Update:
    """Return what moves from one lock file to another."""
    return between(*(read(_text(path), str(path)) for path in (old, new)))


def of_branch(base: str, file: str | None) -> Update:
    """Return what the working tree moves since it left `base`.

    Args:
        base: A commit or branch.
        file: A lock file by its path from the root; None: the one that changed and has Unsloth on a side.

    Raises:
        InputError: No such commit or file, or several lock files that hold a stack changed.
    """
    commit, root = git_files.merge_base(base), git_files.root()
    changed = [file] if file else git_files.changed_lock_files(commit)
    sides = [_sides(commit, root, path) for path in changed]
    if not file:
        sides = [(old, new) for old, new in sides if any(map(_has_stack, (old, new)))]
    if len(sides) > 1:
        names = ", ".join(new.path for _, new in sides)
        raise InputError(
            f"several lock files with {STACK_ROOT} changed: {names}. Choose with --file."
        )
    if not sides:
        return Update(file=", ".join(changed))
    return between(*sides[0])


def load(path: Path) -> Update:
    """Read an update that another process saved, and keep its locks here.

    Raises:
        InputError: It is not there.
        ConfigError: It is not what `harness upgrade --save` writes.
    """
    try:
        update = Update.model_validate_json(_text(path))
    except ValidationError as error:
        problem = first_problem(error, "the whole file")
        raise ConfigError(
            f"{path} is no update that this harness reads: {problem}. Write it with its own `harness upgrade --save`."
        ) from error
    for kept in (update.old, update.new):
        if kept:
            kept_locks.keep(kept)
    return update


def _sides(commit: str, root: Path, path: str) -> tuple[LockFile, LockFile]:
    new = read(_text(root / path), path)
    try:
        old = git_files.text_at(commit, path)
    except InputError:
        # A file that is new: nothing was pinned before.
        return LockFile(path, {}), new
    return read(old, path), new


def _has_stack(lock: LockFile) -> bool:
    return STACK_ROOT in {*lock.pins, *lock.unpinned}


def _kept(stack: StackLock) -> KeptLock:
    return kept_locks.find(stack.release)


def _rank(name: str) -> tuple[int, str]:
    return (_FIRST.index(name) if name in _FIRST else len(_FIRST)), name


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise InputError(f"cannot read {path}: {reason}.") from error


def describe(update: Update, names: Sequence[Moved] | None = None) -> list[str]:
    """Return a line for each package that moved, with its place in the file."""
    return [f"{one.words} ({update.where(one)})" for one in (names or update.moved)]
