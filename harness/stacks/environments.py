"""Environments: a stack's packages on disk, built once (by uv, or from a wheelhouse) and kept in the cache."""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

from filelock import FileLock, Timeout

from harness.errors import StackBuildError
from harness.locations import cache_dir
from harness.record import write_json_atomically
from harness.stacks import wheelhouse
from harness.stacks.kept_locks import MARK
from harness.stacks.stack import Stack
from harness.stacks.uv_tool import find_links, run_uv

Say = Callable[[str], None]

_SAID_EVERY_S = 60.0


def python_of(stack: Stack) -> Path:
    """Return where the stack's interpreter is, built or not."""
    return stack.interpreter or folder_of(stack) / "bin" / "python"


def is_built(stack: Stack) -> bool:
    """Whether the environment is complete."""
    return stack.interpreter is not None or _manifest(stack).exists()


def ensure(stack: Stack, say: Say = lambda message: None) -> Path:
    """Build the stack's environment unless it is there; return its interpreter.

    Safe against other processes doing the same; an interrupted build is started over.

    Raises:
        StackBuildError: uv failed; the message ends with what uv said.
    """
    if stack.interpreter is not None:
        return stack.interpreter
    folder = folder_of(stack)
    what = f"building {stack.name} ({stack.where})"
    lock = FileLock(f"{folder}.lock")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            say(f"another process is {what}; waiting for it")
            lock.acquire()
    except OSError as error:
        raise StackBuildError(
            f"cannot build stack {stack.name}: {folder.parent}: {error.strerror}. HARNESS_CACHE "
            "chooses another folder."
        ) from error
    try:
        if not is_built(stack):
            say(f"{what}: {len(stack.versions)} packages")
            with _still_said(say, what):
                _build(stack, folder)
    finally:
        lock.release()
    return python_of(stack)


def folder_of(stack: Stack) -> Path:
    """Return the folder that the harness builds the stack in; its digest is in the name.

    A kept lock shares it with the shipped lock, or another kept one, that installs the same.
    """
    name = stack.name.partition(MARK)[0]
    return cache_dir() / "stacks" / f"{name}-{stack.where}-{stack.digest}"


def _manifest(stack: Stack) -> Path:
    return folder_of(stack) / "stack.json"


@contextmanager
def _still_said(say: Say, what: str) -> Iterator[None]:
    """Say once a minute that something is not done yet: uv is quiet, and a registry can be slow."""
    done, started = Event(), time.monotonic()

    def tell() -> None:
        while not done.wait(_SAID_EVERY_S):
            say(f"{what}: not done after {time.monotonic() - started:.0f} s")

    teller = Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        done.set()
        teller.join()


def _build(stack: Stack, folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    try:
        if stack.wheels is not None:
            wheelhouse.build(stack, folder)
        else:
            _build_from_registry(stack, folder)
        manifest = {"name": stack.name, "where": stack.where, "overrides": stack.overrides}
        # Last: without it, what there is of the environment is not believed.
        write_json_atomically(_manifest(stack), json.dumps(manifest, indent=1) + "\n")
    except OSError as error:
        raise StackBuildError(
            f"cannot build stack {stack.name}: {error}. Free some space, or choose another folder than "
            f"{cache_dir()} with HARNESS_CACHE."
        ) from error


def _build_from_registry(stack: Stack, folder: Path) -> None:
    purpose = f"build stack {stack.name} ({stack.where})"
    run_uv("venv", "--quiet", "--python", stack.python, str(folder), purpose=purpose)
    lock = folder / "requirements.lock"
    lock.write_text(stack.lock, encoding="utf-8")
    install = ["pip", "install", "--quiet", "--python", str(python_of(stack))]
    install += ["--no-deps", "--require-hashes", "--requirement", str(lock)]
    links = find_links()
    try:
        if stack.where == "gpu":
            run_uv(*install, purpose=purpose)
        elif links:
            run_uv(*install, *links, purpose=purpose)
        else:
            run_uv(*install, "--torch-backend", "cpu", purpose=purpose)
    except StackBuildError as error:
        if not links or stack.where == "gpu":
            raise
        # The user's own wheels may lack the CPU build of torch: take it from PyTorch's index.
        try:
            run_uv(*install, "--torch-backend", "cpu", purpose=purpose)
        except StackBuildError as again:
            raise StackBuildError(
                f"{again}\nBefore that, with the wheel folders set for pip: {error}"
            ) from error
