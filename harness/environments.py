"""Environments: a stack's packages on disk, built once by uv and kept in the cache."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock
from uv import find_uv_bin

from harness.errors import StackBuildError
from harness.locations import cache_dir
from harness.stacks import Stack

Say = Callable[[str], None]


def python_of(stack: Stack) -> Path:
    """Return where the stack's interpreter is, built or not."""
    return _folder(stack) / "bin" / "python"


def is_built(stack: Stack) -> bool:
    """Whether the environment is complete."""
    return _manifest(stack).exists()


def ensure(stack: Stack, say: Say = lambda message: None) -> Path:
    """Build the stack's environment unless it is there; return its interpreter.

    Safe against other processes doing the same; an interrupted build is started over.

    Raises:
        StackBuildError: uv failed; the message ends with what uv said.
    """
    folder = _folder(stack)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{folder}.lock"):
        if not is_built(stack):
            say(f"building {stack.name} ({stack.where}): {stack.lock.count('==')} packages")
            _build(stack, folder)
    return python_of(stack)


def _folder(stack: Stack) -> Path:
    return cache_dir() / "stacks" / f"{stack.name}-{stack.where}-{stack.digest}"


def _manifest(stack: Stack) -> Path:
    return _folder(stack) / "stack.json"


def _build(stack: Stack, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    _uv("venv", "--quiet", "--python", stack.python, str(folder), stack=stack)
    lock = folder / "requirements.lock"
    lock.write_text(stack.lock, encoding="utf-8")
    install = ["pip", "install", "--quiet", "--python", str(python_of(stack))]
    install += ["--no-deps", "--require-hashes", "--requirement", str(lock)]
    links = _find_links()
    try:
        if stack.where == "gpu":
            _uv(*install, stack=stack)
        elif links:
            _uv(*install, *links, stack=stack)
        else:
            _uv(*install, "--torch-backend", "cpu", stack=stack)
    except StackBuildError:
        if not links or stack.where == "gpu":
            raise
        # The user's own wheels lack the CPU build of torch: take it from PyTorch's index.
        _uv(*install, "--torch-backend", "cpu", stack=stack)
    manifest = {"name": stack.name, "where": stack.where, "overrides": stack.overrides}
    _manifest(stack).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")


def _find_links() -> list[str]:
    # uv does not read pip's configuration; a wheel folder set for pip must serve uv too.
    folders = os.environ.get("UV_FIND_LINKS", "").split(",")
    folders += os.environ.get("PIP_FIND_LINKS", "").split()
    return [arg for folder in folders if folder for arg in ("--find-links", folder)]


def _uv(*arguments: str, stack: Stack) -> None:
    result = subprocess.run(
        [find_uv_bin(), *arguments], capture_output=True, text=True, check=False
    )
    if result.returncode:
        said = result.stderr.strip()[-2000:]
        raise StackBuildError(
            f"cannot build stack {stack.name} ({stack.where}): `uv {arguments[0]} {arguments[1]}` "
            f"exited {result.returncode}. Check the network and the disk, then run again.\n{said}"
        )
