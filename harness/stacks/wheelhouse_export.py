"""Make a wheelhouse: what a machine without a registry lacks to run cells, and a command that runs them.

For a GPU machine that has its own Python with torch and transformers and reaches no registry.
"""

import hashlib
import shlex
from collections.abc import Callable, Iterable, Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

from harness.abandoned import work_folder
from harness.commit import commit_of
from harness.errors import ConfigError, InputError
from harness.locations import PACKAGE
from harness.record import write_json_atomically
from harness.stacks.beside import Beside
from harness.stacks.stack import Stack
from harness.stacks.stacks_file import Override
from harness.stacks.uv_tool import run_uv
from harness.stacks.wheel_downloads import Downloads, described
from harness.stacks.wheelhouse import MACHINE, MANIFEST, Manifest, Wheel, comes_with_torch

Say = Callable[[str], None]

SCRIPT = "gate.sh"
_NOT_NEEDED_THERE = {"pypi-simple", "uv"}
"""They ask registries; a cell that runs from a wheelhouse needs none."""

_SCRIPT = """\
#!/usr/bin/env bash
# Run the harness from this wheelhouse over the machine's own Python:
#   bash gate.sh harness window --minutes 9      or: bash gate.sh harness run CELL...
# GATE_SECONDS ends any command as Ctrl-C does; the same command goes on where it was.
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
# -P: the harness of this wheelhouse, also in the folder of another.
exec timeout --foreground --signal=INT --kill-after=30 "${{GATE_SECONDS:-0}}" "$env/bin/python" -P -m "$@"
"""


def export(
    stacks: Sequence[Stack],
    house: Path,
    python: str,
    beside: Beside,
    say: Say,
    overrides: Sequence[Override] = (),
) -> Manifest:
    """Download the wheels of stacks and of the harness that a machine lacks.

    Args:
        stacks: By their locks, for a GPU.
        house: Where the files go; created if absent.
        python: Of the machine, `3.12`. x86-64 Linux.
        beside: What the machine has.
        say: Told of progress.
        overrides: Versions in place of those of every lock that has the package.

    Raises:
        ConfigError: An override that is no NAME==VERSION.
        StackBuildError: A wheel cannot be had; ends with pip's words.
    """
    house.mkdir(parents=True, exist_ok=True)
    forced, downloads, wheels = dict(map(_pin, overrides)), Downloads(house, python), {}
    for stack in stacks:
        wanted = stack.versions | {n: v for n, v in forced.items() if n in stack.versions}
        pins = {
            name: version
            for name, version in wanted.items()
            if not beside.serves(name, version) and not comes_with_torch(name)
        }
        say(f"{stack.name}: {len(pins)} of {len(wanted)} packages are not on the machine")
        if lacking := beside.lacks_of_torch(wanted):
            say(f"{stack.name} needs {', '.join(lacking)}, which the machine's list has not")
        wheels[stack.name] = downloads.fetch(pins)
    needed = _own_requirements(python, beside)
    say(f"harness: {len(needed)} packages")
    manifest = Manifest(
        python=python,
        commit=commit_of(PACKAGE.parent),
        harness=(*downloads.fetch(needed), _build_harness(house)),
        stacks=wheels,
        overrides={_pin(override)[0]: override.reason for override in overrides},
    )
    write_json_atomically(house / MANIFEST, manifest.model_dump_json(indent=1) + "\n")
    files = " ".join(f'"$house"/{shlex.quote(wheel.file)}' for wheel in manifest.harness)
    digest = hashlib.sha256(manifest.model_dump_json().encode()).hexdigest()[:12]
    script = _SCRIPT.format(wheels=files, machine=MACHINE, digest=digest)
    (house / SCRIPT).write_text(script, encoding="utf-8")
    return manifest


def _pin(override: Override) -> tuple[str, str]:
    name, equals, version = override.requirement.partition("==")
    if not equals:
        raise ConfigError(f"{override.requirement!r}: an override is NAME==VERSION.")
    return str(canonicalize_name(name)), version


def _own_requirements(python: str, beside: Beside) -> dict[str, str]:
    """Return what the harness needs and the machine lacks, at the versions that it runs with here."""
    environment: dict[str, str] = {"python_version": python, "extra": ""}
    needed: dict[str, str] = {}
    waiting = [Requirement("gemma-lora-gate")]
    while waiting:
        requirement = waiting.pop()
        name = str(canonicalize_name(requirement.name))
        # What the machine has came with its own needs; those of the version here are none of it.
        if name in needed or name in _NOT_NEEDED_THERE or beside.meets(name, requirement.specifier):
            continue
        try:
            package = distribution(name)
        except PackageNotFoundError:
            continue  # Of another platform, or of another Python.
        needed[name] = package.version
        wanted = map(Requirement, package.requires or ())
        waiting += [r for r in wanted if r.marker is None or r.marker.evaluate(environment)]
    del needed["gemma-lora-gate"]
    return dict(sorted(needed.items()))


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
    return described(name, str(version), target)


def stacks_of(matrix_releases: Iterable[str]) -> list[str]:
    """Return the stacks that the default matrix has on a GPU, for its releases."""
    releases = list(matrix_releases)
    return [*(f"unsloth-{release}" for release in releases), f"reference-{releases[-1]}"]
