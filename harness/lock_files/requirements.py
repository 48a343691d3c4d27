"""Requirements files with exact versions: pip's format, as pip-tools and uv write it, with hashes or without."""

import re
from collections.abc import Iterator

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import NormalizedName, canonicalize_name

from harness.errors import InputError
from harness.lock_files.pins import LockFile, Pin
from harness.lock_files.target import holds

NAMES = ("requirements*.txt", "requirements/*.txt", "*-requirements.txt")

_HASH = re.compile(r"\s--hash[= ](\S+)")
_OPTION = re.compile(r"\s--?[a-z][\w-]*.*$")
_FOLLOWED = re.compile(r"(-r|-c|--requirement|--constraint)\b")


def knows(text: str, path: str) -> bool:
    """Whether it may be one: anything may."""
    return True


def parse(text: str, path: str, *, everything: bool) -> LockFile:
    """Read a requirements file, which has neither groups nor extras of its own.

    Raises:
        InputError: A line that is no requirement, or one package at two versions; the message names the line.
    """
    pins: dict[NormalizedName, Pin] = {}
    unpinned: dict[NormalizedName, int] = {}
    follows = []
    for number, line in _logical_lines(text):
        if line.startswith("-"):
            if _FOLLOWED.match(line):
                follows.append(f"{path}:{number}: {line}")
            continue
        requirement = _requirement(line, f"{path}:{number}")
        if requirement is None:
            continue
        name, version = canonicalize_name(requirement.name), _exact(requirement)
        if version is None:
            unpinned[name] = number
            continue
        pin = Pin(name, version, number, tuple(sorted(_HASH.findall(line))))
        if (before := pins.get(name)) and before.version != version:
            raise InputError(
                f"{path}:{number}: {name}=={version}, but line {before.line} has {before.version}, and both "
                "hold on Linux x86-64. Leave one."
            )
        pins[name] = pin
    return LockFile(
        path,
        pins,
        {n: at for n, at in unpinned.items() if n not in pins},
        follows=tuple(follows),
    )


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Join continued lines, drop comments; each with the number of its first line."""
    start, parts = 0, []
    for number, raw in enumerate([*text.splitlines(), ""], start=1):
        line = re.sub(r"(^|\s)#.*$", "", raw).rstrip()
        start = start or number
        if line.endswith("\\"):
            parts.append(line[:-1])
            continue
        joined = "".join([*parts, line]).strip()
        if joined:
            yield start, joined
        start, parts = 0, []


def _requirement(line: str, where: str) -> Requirement | None:
    """Return the requirement of a line; None where its marker does not hold here."""
    try:
        found = Requirement(_OPTION.sub("", _HASH.sub("", line)).strip())
    except InvalidRequirement as error:
        if line.startswith((".", "/", "git+", "http://", "https://", "file:")):
            return None  # an unnamed package of the user's own: no part of the stack
        raise InputError(f"{where}: {line[:80]!r} is no requirement: {error}.") from error
    return found if found.marker is None or holds(found.marker) else None


def _exact(requirement: Requirement) -> str | None:
    """Return the version of `name==version`; None for ranges, patterns and URLs."""
    specifiers = list(requirement.specifier)
    if len(specifiers) != 1 or requirement.url:
        return None
    (only,) = specifiers
    exact = only.operator in ("==", "===") and not only.version.endswith(".*")
    return only.version if exact else None
