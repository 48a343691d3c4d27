"""Make a wheelhouse: what a machine without a registry lacks to run cells, and a command that runs them.

For a GPU machine that has its own Python with torch and transformers and reaches no registry.
"""

import hashlib
import re
import shlex
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

from harness.abandoned import work_folder
from harness.errors import InputError
from harness.locations import PACKAGE
from harness.record import write_json_atomically
from harness.stacks.stack import Stack
from harness.stacks.uv_tool import run_uv
from harness.stacks.wheelhouse import MACHINE, MANIFEST, Manifest, Wheel, comes_with_torch

Say = Callable[[str], None]

SCRIPT = "gate.sh"
_BASE = {"torch", "torchvision", "triton"}
"""The machine's, whatever its list says: a wheel of torch is what this is to avoid."""
_NOT_NEEDED_THERE = {"pypi-simple", "uv"}
"""They ask registries; a cell that runs from a wheelhouse needs none."""
_GLIBC = range(5, 40)

_SCRIPT = """\
#!/usr/bin/env bash
# Run the harness from this wheelhouse over the machine's own Python:
#   bash gate.sh harness run CELL...      or: bash gate.sh pytest tests/matrix
# GATE_SECONDS ends it as Ctrl-C does; the same command goes on where it was.
set -euo pipefail
house="$(cd "$(dirname "${{BASH_SOURCE[0]}}")" && pwd)"
python="${{GATE_PYTHON:-python3}}"
env="${{HARNESS_CACHE:-${{XDG_CACHE_HOME:-$HOME/.cache}}/gemma-lora-gate}}/harness-{digest}"
if [ ! -e "$env/done" ]; then
  "$python" -m venv --clear --without-pip "$env"
  "$python" -c 'import sys; print(*[p for p in sys.path if p.endswith("-packages")], sep="\\n")' \\
    > "$(echo "$env"/lib/python*/site-packages)/{machine}"
  "$python" -m pip --python "$env/bin/python" install --quiet --no-index --no-deps --no-compile \\
    --ignore-installed {wheels}
  touch "$env/done"
fi
export HARNESS_WHEELHOUSE="$house"
exec timeout --foreground --signal=INT --kill-after=30 "${{GATE_SECONDS:-0}}" "$env/bin/python" -m "$@"
"""


def export(
    stacks: Sequence[Stack], house: Path, python: str, beside: Path | None, say: Say
) -> Manifest:
    """Download the wheels of stacks and of the harness that a machine lacks.

    Args:
        stacks: By their locks, for a GPU.
        house: Where the files go; created if absent.
        python: Of the machine, `3.12`. x86-64 Linux.
        beside: What the machine has: names or `NAME==VERSION`, one a line as `pip freeze` prints
            them. None: torch, torchvision and Triton alone.
        say: Told of progress.

    Raises:
        InputError: `beside` is not there.
        StackBuildError: A wheel cannot be had; ends with pip's words.
    """
    there = _names(beside) | _BASE
    house.mkdir(parents=True, exist_ok=True)
    own = _Downloads(house, python)
    wheels = {}
    for stack in stacks:
        pins = {
            name: version
            for name, version in stack.versions.items()
            if name not in there and not comes_with_torch(name)
        }
        say(f"{stack.name}: {len(pins)} of {len(stack.versions)} packages are not on the machine")
        wheels[stack.name] = own.fetch(pins)
    needed = {name: v for name, v in _own_requirements(python).items() if name not in there}
    say(f"harness: {len(needed)} packages")
    harness = (*own.fetch(needed), _build_harness(house))
    manifest = Manifest(python=python, harness=harness, stacks=wheels)
    write_json_atomically(house / MANIFEST, manifest.model_dump_json(indent=1) + "\n")
    files = " ".join(f'"$house"/{shlex.quote(wheel.file)}' for wheel in harness)
    digest = hashlib.sha256(manifest.model_dump_json().encode()).hexdigest()[:12]
    script = _SCRIPT.format(wheels=files, machine=MACHINE, digest=digest)
    (house / SCRIPT).write_text(script, encoding="utf-8")
    return manifest


class _Downloads:
    """Fetches each wheel once."""

    def __init__(self, house: Path, python: str) -> None:
        self._house = house
        self._platform = [
            f"--platform={tag}_x86_64"
            for tag in (*(f"manylinux_2_{n}" for n in _GLIBC), "manylinux2014", "manylinux1")
        ]
        self._python = python

    def fetch(self, pins: dict[str, str]) -> tuple[Wheel, ...]:
        """Return a wheel for each package, from the folder where it is there already."""
        missing = [f"{n}=={v}" for n, v in pins.items() if self._find(n, v) is None]
        if missing:
            # uv installs and does not download: pip does, with the user's own configuration.
            run_uv(
                *("run", "--quiet", "--no-project", "--with", "pip", "python", "-m", "pip"),
                *("download", "--quiet", "--no-deps", "--only-binary=:all:"),
                f"--python-version={self._python}",
                *("--implementation=cp", *self._platform, f"--dest={self._house.resolve()}"),
                *missing,
                purpose=f"download {len(missing)} wheels for Python {self._python}",
            )
        return tuple(self._wheel(name, version) for name, version in pins.items())

    def _find(self, name: str, version: str) -> Path | None:
        for file in self._house.glob("*.whl"):
            found, at, *_ = parse_wheel_filename(file.name)
            if found == name and str(at) == version:
                return file
        return None

    def _wheel(self, name: str, version: str) -> Wheel:
        file = self._find(name, version)
        if file is None:
            raise InputError(f"no wheel of {name} {version} came for Python {self._python}.")
        return _described(name, version, file)


def _described(name: str, version: str, file: Path) -> Wheel:
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    return Wheel(package=name, version=version, file=file.name, sha256=sha256)


def _names(beside: Path | None) -> set[str]:
    if beside is None:
        return set()
    try:
        text = beside.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"cannot read {beside}: {error.strerror}. On the machine: pip freeze > FILE."
        ) from error
    words = re.split(r"[\s,]+", re.sub(r"#.*", "", text))
    return {canonicalize_name(re.split(r"[=<>~!@\[]", word)[0]) for word in words if word}


def _own_requirements(python: str) -> dict[str, str]:
    """Return what the harness needs, by name, at the versions that it runs with here."""
    environment: dict[str, str] = {"python_version": python, "extra": ""}
    found: dict[str, str] = {}
    open_names = ["gemma-lora-gate"]
    while open_names:
        name = open_names.pop()
        try:
            package = distribution(name)
        except PackageNotFoundError:
            continue  # Of another platform, or of another Python.
        for text in package.requires or ():
            requirement = Requirement(text)
            wanted = canonicalize_name(requirement.name)
            applies = requirement.marker is None or requirement.marker.evaluate(environment)
            if applies and wanted not in found and wanted not in _NOT_NEEDED_THERE:
                found[wanted] = ""
                open_names.append(wanted)
        found[canonicalize_name(name)] = package.version
    del found["gemma-lora-gate"]
    return {name: version for name, version in sorted(found.items()) if version}


def _build_harness(house: Path) -> Wheel:
    source = PACKAGE.parent
    if not (source / "pyproject.toml").is_file():
        raise InputError(
            f"{source} is not a checkout: the harness's own wheel is built from one. Run "
            f"`uv run harness stack export` there."
        )
    with work_folder("wheel") as folder:
        run_uv(
            *("build", "--quiet", "--wheel", f"--out-dir={folder}", str(source)),
            purpose="build the harness's own wheel",
        )
        (built,) = folder.glob("*.whl")
        name, version, *_ = parse_wheel_filename(built.name)
        target = house / built.name
        target.write_bytes(built.read_bytes())
    return _described(name, str(version), target)


def stacks_of(matrix_releases: Iterable[str]) -> list[str]:
    """Return the stacks that the default matrix has on a GPU, for its releases."""
    releases = list(matrix_releases)
    return [*(f"unsloth-{release}" for release in releases), f"reference-{releases[-1]}"]
