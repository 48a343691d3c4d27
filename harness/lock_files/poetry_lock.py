"""poetry.lock: each package with the groups, extras and machines that it is for.

Poetry 2 writes markers and groups into it. The file of an older Poetry has neither, so that all of it is read, and a
package that it has twice is decided by the stack's own bounds.
"""

from collections import defaultdict
from pathlib import Path, PurePath

from packaging.markers import InvalidMarker, Marker
from packaging.utils import NormalizedName, canonicalize_name
from pydantic import BaseModel

from harness.errors import ConfigError, InputError
from harness.lock_files.pins import LockFile, Pin
from harness.lock_files.target import holds
from harness.lock_files.toml_lines import VersionLines
from harness.toml_file import parse_model

NAMES = ("poetry.lock",)

_MAIN = "main"
_OF_A_REGISTRY = ("", "legacy")
"""Types of a source: PyPI, which is not named, and any other index. The rest are folders, files and repositories."""


class _File(BaseModel):
    hash: str


class _Source(BaseModel):
    type: str = ""


class _Package(BaseModel):
    name: str
    version: str
    optional: bool = False
    groups: tuple[str, ...] = (_MAIN,)
    markers: str | dict[str, str] = ""
    files: tuple[_File, ...] = ()
    source: _Source = _Source()


class _Lock(BaseModel):
    package: tuple[_Package, ...] = ()
    extras: dict[str, tuple[str, ...]] = {}


def knows(text: str, path: str) -> bool:
    """Whether it is one, by the table that Poetry ends it with."""
    return PurePath(path).suffix == ".lock" and "\n[metadata]\n" in text


def parse(text: str, path: str, *, everything: bool) -> LockFile:
    """Read a poetry.lock.

    Raises:
        InputError: Not one that Poetry wrote.
    """
    try:
        lock = parse_model(text, Path(path), _Lock)
    except ConfigError as error:
        raise InputError(f"{path} is not a poetry.lock: {error}") from error
    lines = VersionLines(text, "package")
    extras = ("", *lock.extras) if everything else ("",)
    pins = defaultdict[NormalizedName, list[Pin]](list)
    unpinned = {}
    for package in lock.package:
        name, line = canonicalize_name(package.name), lines.of(package.name, package.version)
        try:
            if not _holds(package, extras, everything=everything):
                continue
        except InvalidMarker as error:
            raise InputError(f"{path}:{line}: {name} has a marker that is none: {error}") from error
        if package.source.type not in _OF_A_REGISTRY:
            unpinned[name] = line
            continue
        hashes = sorted(f.hash for f in package.files if f.hash.startswith("sha256:"))
        pins[name].append(Pin(name, package.version, line, tuple(hashes)))
    return LockFile(
        path,
        {name: found[0] for name, found in pins.items() if len(found) == 1},
        unpinned,
        several={name: tuple(found) for name, found in pins.items() if len(found) > 1},
    )


def _holds(package: _Package, extras: tuple[str, ...], *, everything: bool) -> bool:
    """Whether a machine of the harness installs a package: its main group alone, or every group and extra."""
    groups = [group for group in package.groups if everything or group == _MAIN]
    if not package.markers:
        return bool(groups) and (everything or not package.optional)
    of = package.markers
    markers = [of.get(group, "") if isinstance(of, dict) else of for group in groups]
    return any(not marker or holds(Marker(marker), extra) for marker in markers for extra in extras)
