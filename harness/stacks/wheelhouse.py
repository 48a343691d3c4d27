"""Stacks from a folder of wheels, on a machine with its own torch and no registry.

`harness stack export` makes the folder (`harness.stacks.wheelhouse_export`). HARNESS_WHEELHOUSE names it where
cells run: a stack is then the wheels of its lock over the packages of the machine, which stay as they
are; each version that departs from the lock is in the record.
"""

import os
import platform
import sys
import sysconfig
import venv
from dataclasses import replace
from importlib.metadata import distributions
from pathlib import Path

from packaging.utils import canonicalize_name
from pydantic import BaseModel, ConfigDict, ValidationError

from harness.bound_process import run_bound
from harness.errors import ConfigError, StackBuildError, UnknownStackError, first_problem
from harness.stacks.stack import Stack

MANIFEST = "wheelhouse.json"
MACHINE = "_machine.pth"
"""Makes the machine's packages importable behind an environment's own."""


class Wheel(BaseModel):
    """One file of the folder."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    package: str
    version: str
    file: str
    sha256: str


class Manifest(BaseModel):
    """What a wheelhouse holds.

    Attributes:
        python: Version that the wheels are for, `3.12`.
        commit: Of the checkout that the harness's wheel was built from; empty where that had changes.
        harness: Wheels of the harness and of what it needs.
        stacks: Wheels by name of a stack.
        overrides: Reason by package that is in place of the locks' version.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    python: str
    commit: str = ""
    harness: tuple[Wheel, ...]
    stacks: dict[str, tuple[Wheel, ...]]
    overrides: dict[str, str] = {}


def folder() -> Path | None:
    """Return the wheelhouse that HARNESS_WHEELHOUSE names, None where it names none."""
    given = os.environ.get("HARNESS_WHEELHOUSE")
    return Path(given).resolve() if given else None


def read_manifest(house: Path) -> Manifest:
    """Read what a wheelhouse holds.

    Raises:
        ConfigError: No such folder, or not one that `harness stack export` made.
    """
    path = house / MANIFEST
    try:
        return Manifest.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"cannot read the wheelhouse {path}: {error.strerror}. HARNESS_WHEELHOUSE names the folder "
            "that `harness stack export` made."
        ) from error
    except ValidationError as error:
        raise ConfigError(f"{path}: {first_problem(error, 'file')}. Export it again.") from error


def stack(locked: Stack, house: Path) -> Stack:
    """Return a stack as it is made from a wheelhouse here: its wheels over this machine's packages.

    Args:
        locked: The stack by its lock, for the kind of machine that this one is.
        house: The wheelhouse.

    Raises:
        ConfigError: The wheelhouse is for another Python.
        UnknownStackError: It does not hold this stack, or this machine lacks a package of it.
    """
    manifest = read_manifest(house)
    if locked.name not in manifest.stacks:
        raise UnknownStackError(
            f"the wheelhouse {house} holds {', '.join(manifest.stacks)}, not {locked.name}. Export it "
            f"too: harness stack export {locked.name} --wheelhouse FOLDER."
        )
    here = platform.python_version()
    minor = ".".join(here.split(".")[:2])
    if manifest.python != minor:
        raise ConfigError(
            f"the wheelhouse {house} is for Python {manifest.python}, this is {here}. Export it with "
            f"--python {minor}."
        )
    wheels = {wheel.package: wheel for wheel in manifest.stacks[locked.name]}
    machine = machine_versions()
    wanted = {name: v for name, v in locked.versions.items() if not comes_with_torch(name)}
    missing = [name for name in wanted if name not in wheels and name not in machine]
    if missing:
        raise UnknownStackError(
            f"{locked.name} needs {', '.join(missing)}, which are neither in {house} nor on this "
            "machine. Export the wheelhouse again with this machine's own list: pip freeze > FILE, "
            "then harness stack export --beside FILE."
        )
    moved = [
        f"{name} {machine[name]} of this machine in place of {version}"
        for name, version in wanted.items()
        if name not in wheels and machine[name] != version
    ]
    moved += [
        f"{name} {wheel.version} in place of {wanted[name]}: {manifest.overrides.get(name, 'unsaid')}"
        for name, wheel in wheels.items()
        if name in wanted and wheel.version != wanted[name]
    ]
    lines = [f"{w.package}=={w.version} --hash=sha256:{w.sha256}" for w in wheels.values()]
    lines += [f"{n}=={machine[n]} # of the machine" for n in wanted if n not in wheels]
    own, theirs = len(wheels), len(wanted) - len(wheels)
    said = f"{own} packages from wheels, {theirs} as this machine has them, without hashes"
    return replace(
        locked,
        python=here,
        lock="\n".join(sorted(lines)) + "\n",
        overrides=(*locked.overrides, said, *moved),
        wheels=tuple(house / wheel.file for wheel in wheels.values()),
    )


def comes_with_torch(package: str) -> bool:
    """Whether a package is of one build of torch alone, so that the machine's torch brings its own or none."""
    return package.startswith(("nvidia-", "cuda-")) or package == "xformers"


def build(stack: Stack, folder: Path) -> None:
    """Make an environment of a stack's wheels over this machine's packages, with the machine's own pip.

    Raises:
        StackBuildError: pip failed, or there is none.
    """
    venv.create(folder, with_pip=False, symlinks=True, clear=True)
    python = folder / "bin" / "python"
    (site,) = folder.glob("lib/python*/site-packages")
    (site / MACHINE).write_text("".join(f"{path}\n" for path in machine_paths()), encoding="utf-8")
    if not stack.wheels:
        return
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    command += ["--no-index", "--no-deps", "--no-compile", "--disable-pip-version-check"]
    # Its own, so that a package which the machine has in another version is installed all the same.
    command += ["--ignore-installed", *map(str, stack.wheels)]
    done = run_bound(command)
    if done.returncode:
        raise StackBuildError(
            f"cannot build stack {stack.name} from wheels: {' '.join(command[:4])} ... said: "
            f"{done.stderr.strip()[-2000:]}"
        )


def machine_paths() -> list[str]:
    """Return the folders of this machine's own packages, without those of the harness's environment."""
    own = Path(sysconfig.get_path("purelib"))
    shadowed = str(own) if (own / MACHINE).is_file() else None
    found = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    return [path for path in dict.fromkeys(found) if path != shadowed]


def machine_versions() -> dict[str, str]:
    """Return version by package name of what this machine has, without the harness's environment."""
    found = distributions(path=machine_paths())
    # The first on the path is the one that is imported.
    return {str(canonicalize_name(d.name)): d.version for d in reversed(list(found))}
