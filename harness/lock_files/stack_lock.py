"""The fine-tuning stack in a lock file: Unsloth and all that it needs, as a lock that the harness keeps."""

import re
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass

from packaging.version import Version

from harness.lock_files.pins import LockFile, Pin
from harness.lock_files.reading import STACK_ROOT, require_stack, undecided, unpinned
from harness.stacks import kept_locks, locking
from harness.stacks import stack as stacks
from harness.stacks.kept_locks import KeptLock
from harness.stacks.locking import Package
from harness.stacks.stacks_file import Override
from harness.stacks.uv_tool import NoSolutionError

_PINNED = "the lock file pins it"
_SHOWN = 5


@dataclass(frozen=True)
class StackLock:
    """The stack of one lock file.

    Attributes:
        release: Names the kept lock: `2026.10.9@4f2a91c0`.
        pins: The file's pins that the stack holds, by name.
        versions: Version by name of the whole stack, what the file leaves open included.
        filled_in: The packages of the stack that the file does not name.
    """

    release: str
    pins: dict[str, Pin]
    versions: dict[str, str]
    filled_in: tuple[str, ...]


def keep_stack(lock: LockFile) -> StackLock:
    """Cut the stack out of a lock file, complete it, and keep it as a lock with hashes.

    Which packages those are, the registry says; their versions are the file's. Hashes are the file's own; a package
    without any gets those of the registry's wheels.

    Raises:
        InputError: No Unsloth in the file, or a package of the stack without an exact version.
        NoSolutionError: The registry does not have what the file pins.
        StackBuildError: The registry cannot be asked.
    """
    require_stack(lock)
    root = lock.pins[STACK_ROOT]  # type: ignore[index]
    found, broken = _resolved(root, lock)
    names = {package.name for package in found}
    if open_ones := sorted(names & set(lock.unpinned)):
        raise unpinned(lock, open_ones)
    pins = {str(name): pin for name, pin in lock.pins.items() if name in names}
    pins |= _decided(lock, found)
    filled_in = tuple(sorted(names - set(pins)))
    packages = [_package(package, pins.get(package.name)) for package in found]
    kept = KeptLock(
        version=root.public,
        python=locking.PYTHON,
        lock=locking.lock_text(packages),
        said=(*broken, *_said(pins, filled_in)),
    )
    return StackLock(
        kept_locks.keep(kept),
        pins,
        {package.name: _version(package, pins) for package in packages},
        filled_in,
    )


def _resolved(root: Pin, lock: LockFile) -> tuple[list[Package], tuple[str, ...]]:
    """Resolve Unsloth with the versions of the file; also say whether they break bounds."""
    wanted = f"{STACK_ROOT}=={root.public}"
    bounds = {str(name): f"{name}=={pin.public}" for name, pin in sorted(lock.pins.items())}
    bounds |= {str(name): _between(name, pins) for name, pins in sorted(lock.several.items())}
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as constraints:
        constraints.write("\n".join(bounds.values()) + "\n")
        constraints.flush()
        try:
            return locking.resolve([wanted], None, (), "--constraint", constraints.name), ()
        except NoSolutionError as error:
            cause = re.search(r"cause:\s*(?:Because )?(.+?)(?:, we can|\n|$)", str(error))
    # An override takes the extras off a requirement: what only they bring is asked for by name.
    known = stacks.packages_of_shipped_locks()
    roots = [wanted, *(one for name, one in bounds.items() if name in known and name != STACK_ROOT)]
    overrides = [Override(requirement=one, reason=_PINNED) for one in bounds.values()]
    reason = f": {cause[1]}" if cause else ""
    said = f"the versions of the lock file break bounds that its packages declare{reason}"
    return locking.resolve(roots, None, overrides), (said,)


def _between(name: str, pins: Sequence[Pin]) -> str:
    """Return the requirement that leaves open which of several pins it is."""
    versions = sorted(Version(pin.public) for pin in pins)
    return f"{name}>={versions[0]},<={versions[-1]}"


def _decided(lock: LockFile, found: Sequence[Package]) -> dict[str, Pin]:
    """Return the pin that the stack's bounds choose of each package that the file has several of.

    Raises:
        InputError: They choose a version that the file does not have.
    """
    resolved = {package.name: Version(package.version) for package in found}
    chosen = {
        str(name): [pin for pin in pins if Version(pin.public) == resolved[name]]
        for name, pins in lock.several.items()
        if name in resolved
    }
    if open_ones := sorted(name for name, pins in chosen.items() if not pins):
        raise undecided(lock, open_ones)
    return {name: pins[0] for name, pins in chosen.items()}


def _package(found: Package, pin: Pin | None) -> Package:
    if pin is None or not pin.hashes or "+" in pin.version:
        return found
    hashes = tuple(sorted(value.removeprefix("sha256:") for value in pin.hashes))
    return Package(found.name, found.version, hashes, found.uploaded)


def _version(package: Package, pins: dict[str, Pin]) -> str:
    return pins[package.name].version if package.name in pins else package.version


def _said(pins: dict[str, Pin], filled_in: tuple[str, ...]) -> list[str]:
    said = [
        f"{name} {pin.version} taken from the registry as {pin.public}"
        for name, pin in sorted(pins.items())
        if pin.version != pin.public
    ]
    if filled_in:
        more = f" and {len(filled_in) - _SHOWN} more" if len(filled_in) > _SHOWN else ""
        shown = ", ".join(filled_in[:_SHOWN])
        said.append(f"the lock file leaves open {shown}{more}: resolved when it was read")
    return said
