"""Locks: which packages a requirement resolves to as of a moment, with the hashes of their wheels.

A lock is a requirements file of exact versions. Its hashes are those of the wheels that the locked
platform can install (of the source distribution where there is no wheel), not those of every
platform's: a tenth of the size, and what is installed is checked all the same.
"""

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from harness.abandoned import work_folder
from harness.stacks.stacks_file import Override, StacksFile, in_order
from harness.stacks.uv_tool import NoSolutionError, run_uv

PYTHON = "3.11"
PLATFORM = "x86_64-manylinux_2_28"


@dataclass(frozen=True)
class Package:
    """One package of a resolution.

    Attributes:
        hashes: sha256 of each file that may be installed, in hexadecimal.
        uploaded: When the first of them was published; None where the index does not say.
    """

    name: str
    version: str
    hashes: tuple[str, ...]
    uploaded: datetime | None

    @property
    def entry(self) -> str:
        """The package's lines in a lock."""
        hashes = "".join(f" \\\n    --hash=sha256:{value}" for value in self.hashes)
        return f"{self.name}=={self.version}{hashes}"


def resolve(
    requirements: Sequence[str],
    cutoff: str | None = None,
    overrides: Sequence[Override] = (),
    *options: str,
) -> list[Package]:
    """Resolve requirements for Linux with Python 3.11 as of a moment.

    Args:
        requirements: PEP 508 requirements.
        cutoff: RFC 3339 timestamp; files uploaded after it do not exist. None: all that is there.
        overrides: Requirements that replace the packages' own.
        options: Further options of `uv pip compile`.

    Returns:
        The packages, by name.

    Raises:
        NoSolutionError: There is no such set of packages.
        StackBuildError: uv failed, most often for want of a network.
    """
    with work_folder("lock") as folder:
        wanted, replaced, result = (
            folder / file for file in ("requirements.in", "overrides.txt", "pylock.toml")
        )
        wanted.write_text("\n".join(requirements) + "\n", encoding="utf-8")
        replaced.write_text("".join(f"{o.requirement}\n" for o in overrides), encoding="utf-8")
        arguments = ["pip", "compile", "--quiet", "--format", "pylock.toml"]
        arguments += ["--python-version", PYTHON, "--python-platform", PLATFORM]
        arguments += ["--override", str(replaced)] if overrides else []
        arguments += ["--exclude-newer", cutoff] if cutoff else []
        for override in overrides:
            if override.uploaded_before:
                package = f"{name_of(override.requirement)}={override.uploaded_before}"
                arguments += ["--exclude-newer-package", package]
        arguments += [*options, str(wanted), "--output-file", str(result)]
        run_uv(*arguments, purpose=f"resolve {', '.join(requirements)}")
        found = tomllib.loads(result.read_text(encoding="utf-8"))
    return sorted(map(_package, found.get("packages", [])), key=lambda package: package.name)


def resolve_release(
    release: str, cutoff: str, overrides: Sequence[Override], config: StacksFile
) -> tuple[list[Package], tuple[Override, ...]]:
    """Resolve a release untouched, or where that has no solution, as the newest locked one was.

    Args:
        release: Version of Unsloth.
        cutoff: RFC 3339 timestamp.
        overrides: What to resolve with instead; nothing else is tried then.
        config: Where the newest locked release's overrides are.

    Returns:
        The packages, and the overrides that they were resolved with.

    Raises:
        NoSolutionError: There is no set of packages; the message ends with uv's reason.
        StackBuildError: uv failed.
    """
    requirement = f"unsloth=={release}"
    if overrides:
        return resolve([requirement], cutoff, overrides), tuple(overrides)
    try:
        return resolve([requirement], cutoff), ()
    except NoSolutionError as error:
        lent = _lent_overrides(config, error)
        if not lent:
            raise
        untouched = error
    try:
        return resolve([requirement], cutoff, lent), lent
    except NoSolutionError:
        raise untouched from None


def lock_text(packages: Sequence[Package]) -> str:
    """Return the lock of a resolution: one entry a package, sorted, hashes below it."""
    return "".join(package.entry + "\n" for package in packages)


def published(
    requirement: str, *, cutoff: str | None = None, lowest: bool = False
) -> Package | None:
    """Return the newest (or oldest) published version that meets one requirement, if there is one.

    Raises:
        StackBuildError: The registry cannot be asked.
    """
    options = ("--no-deps", *(("--resolution", "lowest") if lowest else ()))
    try:
        return resolve([requirement], cutoff, (), *options)[0]
    except NoSolutionError:
        return None


def end_of_day(moment: datetime) -> str:
    """Return the midnight (UTC) that ends the day of `moment`, or the present if that is earlier.

    A cutoff in the future would give another lock tomorrow.
    """
    midnight = datetime.combine(moment.astimezone(UTC).date() + timedelta(days=1), time(), UTC)
    return timestamp(min(midnight, datetime.now(UTC)))


def timestamp(moment: datetime) -> str:
    """Return a moment in UTC as RFC 3339: uv reads a bare date in the local time zone."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def name_of(requirement: str) -> str:
    """Return the package that a requirement is about."""
    return canonicalize_name(Requirement(requirement).name)


def _lent_overrides(config: StacksFile, error: NoSolutionError) -> tuple[Override, ...]:
    locked = in_order(config.releases)
    lent = config.releases[locked[-1]].overrides if locked else ()
    cause = re.search(r"cause:\s*(.+)", str(error))
    if cause is None:
        return lent
    reason = f"untouched it has no solution: {cause[1].strip()}"
    return tuple(override.model_copy(update={"reason": reason}) for override in lent)


def _package(entry: dict[str, Any]) -> Package:
    files = entry.get("wheels") or [entry["sdist"]]
    hashes = {file["hashes"]["sha256"] for file in files}
    moments = [file["upload-time"] for file in files if "upload-time" in file]
    return Package(
        entry["name"], entry["version"], tuple(sorted(hashes)), min(moments, default=None)
    )
