"""Files as they were at another commit, and which lock file a branch changed."""

import subprocess
from pathlib import Path

from harness.errors import InputError
from harness.lock_files.reading import is_lock_file


def merge_base(ref: str) -> str:
    """Return the commit at which the working tree left `ref`; `ref` itself in a clone without that history.

    Raises:
        InputError: No git, no repository, or no such commit.
    """
    _git("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}", about=f"no commit {ref!r} here")
    try:
        return _git("merge-base", ref, "HEAD", about="").strip()
    except InputError:
        return ref


def changed_lock_files(commit: str) -> list[str]:
    """Return the lock files that differ from `commit` in the working tree, by path from the root."""
    changed = _git("diff", "--name-only", "-z", "--diff-filter=d", commit, about=f"no {commit}")
    return [path for path in changed.split("\0") if path and is_lock_file(path)]


def text_at(commit: str, path: str) -> str:
    """Return a file of a commit, by its path from the root.

    Raises:
        InputError: It is not there.
    """
    return _git("show", f"{commit}:{path}", about=f"{path} is not in {commit[:12]}")


def root() -> Path:
    """Return the root of the working tree."""
    return Path(_git("rev-parse", "--show-toplevel", about="not in a git repository").strip())


def _git(*arguments: str, about: str) -> str:
    try:
        done = subprocess.run(
            ["git", *arguments], capture_output=True, text=True, check=False, encoding="utf-8"
        )
    except OSError as error:
        raise InputError(f"git cannot be started: {error.strerror}.") from error
    if done.returncode != 0:
        shallow = "A shallow clone lacks it: fetch it first (actions/checkout: fetch-depth: 0)."
        raise InputError(
            f"{about}: git {arguments[0]} says {done.stderr.strip()[-300:]!r}. {shallow}"
        )
    return done.stdout
