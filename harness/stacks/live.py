"""The stacks that no lock file describes: the harness's own environment, and the newest packages."""

import json
import platform
import sys
from dataclasses import replace
from datetime import UTC, datetime, time
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

from packaging.utils import canonicalize_name

from harness.errors import StackBuildError, UnknownStackError
from harness.locations import cache_dir
from harness.record import write_json_atomically
from harness.stacks import locking
from harness.stacks.stack import CURRENT, FRONTIER, Stack, assemble
from harness.stacks.stacks_file import Family, Override, Where, read_config

FOLLOWED = ("transformers", "trl", "peft", "accelerate")
"""Packages that the frontier takes at their newest, whatever Unsloth's own bounds say."""

_NEEDED: dict[Family, tuple[str, ...]] = {
    "reference": ("torch", "transformers", "peft", "accelerate"),
    "unsloth": ("torch", "transformers", "peft", "accelerate", "trl", "datasets", "unsloth-zoo"),
}


def current(where: Where) -> Stack:
    """Describe the environment that the harness itself runs in.

    The family is `unsloth` where Unsloth is installed, else `reference`, whose release is that of
    transformers.

    Raises:
        UnknownStackError: It lacks what a fine-tune needs; the message names the packages.
    """
    installed: dict[str, Distribution] = {
        canonicalize_name(name): found
        for found in distributions()
        if (name := found.metadata["Name"])
    }
    family: Family = "unsloth" if "unsloth" in installed else "reference"
    missing = [package for package in _NEEDED[family] if package not in installed]
    if missing:
        raise UnknownStackError(
            f"the stack {CURRENT!r} is the environment that the harness runs in, and it lacks "
            f"{', '.join(missing)}. Install what you want to test beside the harness, for example "
            f"`{sys.executable} -m pip install unsloth` (or {' '.join(missing)}), or choose a "
            "release: `harness cells` lists them."
        )
    sources = {name: _source(distribution) for name, distribution in installed.items()}
    lock = "".join(
        f"{name}=={installed[name].version}{sources[name]}\n" for name in sorted(installed)
    )
    said = ["the environment the harness runs in: found, not built, no hashes"]
    said += [
        f"{name} is installed from {source.removeprefix(' @ ')}"
        + (": its digest does not see a change of its code" if "editable" in source else "")
        for name, source in sorted(sources.items())
        if source and name in _NEEDED["unsloth"] + ("unsloth",)
    ]
    release = installed["unsloth" if family == "unsloth" else "transformers"].version
    return Stack(
        family,
        release,
        where,
        platform.python_version(),
        lock,
        tuple(said),
        alias=CURRENT,
        interpreter=Path(sys.executable),
    )


def frontier(where: Where, now: datetime | None = None) -> Stack:
    """Resolve the newest packages published before today (UTC), or read today's resolution.

    The newest Unsloth with the newest transformers, TRL, peft and accelerate, even past Unsloth's
    own bounds; whatever that moves is said in `overrides`.

    Raises:
        StackBuildError: They cannot be resolved together, or the registry cannot be asked.
    """
    day = (now or datetime.now(UTC)).date()
    path = cache_dir() / "frontier" / f"{day}.json"
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        release, lock, said = data["release"], data["lock"], data["overrides"]
    except (OSError, ValueError, KeyError, TypeError):
        midnight = locking.timestamp(datetime.combine(day, time(), UTC))
        release, lock, said = _resolve_frontier(midnight)
        data = {"release": release, "lock": lock, "overrides": said}
        write_json_atomically(path, json.dumps(data, indent=1) + "\n")
    stack = assemble(read_config(), "unsloth", release, where, lock)
    return replace(stack, overrides=(*said, *stack.overrides), alias=FRONTIER)


def _resolve_frontier(cutoff: str) -> tuple[str, str, list[str]]:
    newest = locking.published("unsloth", cutoff=cutoff)
    if newest is None:
        raise StackBuildError("the registry has no unsloth: check the index that uv is given.")
    asked, lent = locking.resolve_release(newest.version, cutoff, (), read_config())
    by_its_bounds = {package.name: package.version for package in asked}
    pins = []
    for name in FOLLOWED:
        found = locking.published(name, cutoff=cutoff)
        if found is not None:
            pins.append(
                Override(requirement=f"{name}=={found.version}", reason="the newest published")
            )
    lent = tuple(o for o in lent if locking.name_of(o.requirement) not in FOLLOWED)
    packages = locking.resolve([f"unsloth=={newest.version}"], cutoff, (*lent, *pins))
    moved = [
        f"{package.name} {package.version}, where unsloth {newest.version} by its own bounds "
        f"resolves to {by_its_bounds.get(package.name, 'none')}"
        for package in packages
        if by_its_bounds.get(package.name) != package.version
    ]
    said = [f"resolved with {override.requirement}: {override.reason}" for override in lent]
    followed = ", ".join(pin.requirement for pin in pins)
    said.append(f"newest published before {cutoff}, past Unsloth's own bounds: {followed}")
    return (
        newest.version,
        locking.lock_text(packages),
        said + (moved or ["its bounds allow them all"]),
    )


def _source(distribution: Distribution) -> str:
    # PEP 610: where a package came from that did not come from an index.
    text = distribution.read_text("direct_url.json")
    if text is None:
        return ""
    origin: dict[str, Any] = json.loads(text)
    if origin.get("dir_info", {}).get("editable"):
        return " @ an editable folder"
    commit = origin.get("vcs_info", {}).get("commit_id")
    if commit:
        return f" @ commit {commit}"
    return f" @ {origin['url'].rsplit('/', 1)[-1]}"
