"""pylock.toml (PEP 751), as uv and pip write it; what it gives a machine, `packaging` says."""

from pathlib import Path, PurePath

from packaging.pylock import (
    Package,
    Pylock,
    PylockSelectError,
    PylockUnsupportedVersionError,
    PylockValidationError,
)

from harness.errors import ConfigError, InputError
from harness.lock_files.pins import LockFile, Pin
from harness.lock_files.target import ENVIRONMENT, WHERE, wheel_tags
from harness.lock_files.toml_lines import VersionLines
from harness.toml_file import parse_table

NAMES = ("pylock.toml", "pylock.*.toml")


def knows(text: str, path: str) -> bool:
    """Whether it is one: no other lock file that is read here ends in .toml."""
    return PurePath(path).suffix == ".toml"


def parse(text: str, path: str, *, everything: bool) -> LockFile:
    """Read a pylock.toml.

    What has no version of a registry (a folder, an archive, a repository) is unpinned.

    Raises:
        InputError: Not a pylock.toml, or not one for Linux x86-64.
    """
    try:
        lock = Pylock.from_dict(parse_table(text, Path(path)))
    except (ConfigError, PylockValidationError, PylockUnsupportedVersionError) as error:
        raise InputError(f"{path} is not a pylock.toml: {error}.") from error
    chosen = (lock.extras or (), lock.dependency_groups or ()) if everything else (None, None)
    try:
        found = [
            package
            for package, _ in lock.select(
                environment=ENVIRONMENT,
                tags=wheel_tags(),
                extras=chosen[0],
                dependency_groups=chosen[1],
            )
        ]
    except PylockSelectError as error:
        raise InputError(
            f"{path} cannot be installed on {WHERE}: {error}. Lock it for that, too: `uv export --format pylock.toml` "
            "is for every platform, `pip lock` for the one that it runs on."
        ) from error
    lines = VersionLines(text, "packages")
    pins = {}
    unpinned = {}
    for package in found:
        version = str(package.version or "")
        line = lines.of(package.name, version)
        if package.is_direct or not version:
            unpinned[package.name] = line
        else:
            pins[package.name] = Pin(package.name, version, line, _hashes(package))
    return LockFile(path, pins, unpinned)


def _hashes(package: Package) -> tuple[str, ...]:
    hashes = [file.hashes for file in package.wheels or ()]
    hashes += [package.sdist.hashes] if package.sdist else []
    return tuple(sorted(f"sha256:{found['sha256']}" for found in hashes if "sha256" in found))
