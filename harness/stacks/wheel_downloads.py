"""Wheels for another machine's Python, each fetched once into a folder."""

import hashlib
from pathlib import Path

from packaging.utils import parse_wheel_filename

from harness.errors import InputError
from harness.stacks.uv_tool import run_uv
from harness.stacks.wheelhouse import Wheel

_GLIBC = range(5, 40)


class Downloads:
    """Fetches each wheel once.

    Args:
        house: Where the files go.
        python: Of the machine, `3.12`. x86-64 Linux.
    """

    def __init__(self, house: Path, python: str) -> None:
        self._house = house
        self._platform = [
            f"--platform={tag}_x86_64"
            for tag in (*(f"manylinux_2_{n}" for n in _GLIBC), "manylinux2014", "manylinux1")
        ]
        self._python = python

    def fetch(self, pins: dict[str, str]) -> tuple[Wheel, ...]:
        """Return a wheel for each package, from the folder where it is there already.

        Raises:
            StackBuildError: A wheel cannot be had; ends with pip's words.
        """
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
        return described(name, version, file)


def described(name: str, version: str, file: Path) -> Wheel:
    """Return the manifest's entry of a file."""
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    return Wheel(package=name, version=version, file=file.name, sha256=sha256)
