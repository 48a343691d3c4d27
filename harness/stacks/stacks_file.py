"""stacks.toml: how each release's lock came about, and the departures applied when it is built."""

import fnmatch
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from harness.errors import ConfigError
from harness.locations import FIXTURES
from harness.toml_file import parse_model

Family = Literal["unsloth", "reference"]
Where = Literal["cpu", "gpu"]

STACKS_DIR = FIXTURES / "stacks"

_FIRST_RELEASE = re.compile(r"^\[releases\.", re.MULTILINE)


class _Data(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Override(_Data):
    """A requirement that replaces what the packages themselves ask for (uv's overrides).

    Attributes:
        requirement: A PEP 508 requirement; a bare name lifts every bound.
        reason: Why the untouched release does not do.
        uploaded_before: Cutoff for this package alone, where its version is of a later day.
    """

    requirement: str
    reason: str
    uploaded_before: str | None = None


class Release(_Data):
    """How one release's lock came about."""

    cutoff: str
    overrides: tuple[Override, ...] = ()


class Departure(_Data):
    """A change to the lock where it is built: packages dropped, one replaced, or one added.

    `where`, `family` and `releases` (shell patterns; `not_releases` takes some out) say for which
    stacks it holds.
    """

    reason: str
    where: Where | None = None
    family: Family | None = None
    releases: tuple[str, ...] = ("*",)
    not_releases: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    replace: str | None = None
    add: str | None = None
    replacement: str = Field("", alias="with")
    hashes: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _one_change(self) -> Self:
        changes = [bool(self.drop), bool(self.replace), bool(self.add)]
        if changes.count(True) != 1 or bool(self.replace) != bool(self.replacement):
            raise ValueError("one of `drop`, `add`, or `replace` and `with`")
        return self

    def holds_for(self, family: Family, release: str, where: Where) -> bool:
        """Whether the stack is one that this departure is for."""
        return (
            self.where in (None, where)
            and self.family in (None, family)
            and _matches(release, self.releases)
            and not _matches(release, self.not_releases)
        )

    def apply(self, entries: dict[str, str]) -> list[str]:
        """Change lock entries (by package) in place; return what changed, in words."""
        hashes = "".join(f" \\\n    --hash={value}" for value in self.hashes)
        if self.add is not None:
            package = self.add.split("=")[0]
            if package in entries:
                return []
            entries[package] = self.add + hashes
            return [f"with {self.add}: {self.reason}"]
        if self.replace is not None:
            was = entries.get(self.replace, self.replacement).split()[0]
            if was == self.replacement:
                return []
            entries[self.replace] = self.replacement + hashes
            return [f"{was} replaced by {self.replacement}: {self.reason}"]
        dropped = [package for package in sorted(entries) if _matches(package, self.drop)]
        for package in dropped:
            del entries[package]
        return [f"without {', '.join(dropped)}: {self.reason}"] if dropped else []


class StacksFile(_Data):
    """stacks.toml."""

    schema_version: Literal[1] = Field(alias="schema")
    python: str
    departures: tuple[Departure, ...] = ()
    releases: dict[str, Release] = {}


def read_config(stacks_dir: Path = STACKS_DIR) -> StacksFile:
    """Read and validate stacks.toml.

    Raises:
        ConfigError: It cannot be read, is not TOML, or has a key or value it cannot have.
    """
    path = stacks_dir / "stacks.toml"
    try:
        return parse_config(path.read_text(encoding="utf-8"), path)
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}.") from error


def parse_config(text: str, path: Path) -> StacksFile:
    """Validate the text of a stacks.toml that is (or is to be) at `path`.

    Raises:
        ConfigError: Not TOML, or a key or value it cannot have.
    """
    return parse_model(text, path, StacksFile)


def with_release(text: str, name: str, release: Release, path: Path) -> str:
    """Return the text of a stacks.toml with one release's entry added or replaced.

    All before the first release stays as it is; releases are written in order.

    Raises:
        ConfigError: Something other than releases follows the first release, and would be lost.
    """
    before = parse_config(text, path)
    after = before.model_copy(update={"releases": {**before.releases, name: release}})
    first = _FIRST_RELEASE.search(text)
    head = text[: first.start()] if first else text.rstrip() + "\n\n"
    entries = [_entry(key, after.releases[key]) for key in in_order(after.releases)]
    changed = head + "\n".join(entries)
    if parse_config(changed, path) != after:
        raise ConfigError(f"{path}: nothing but releases may follow the first [releases] table.")
    return changed


def in_order(releases: Iterable[str]) -> list[str]:
    """Return releases oldest first."""
    return sorted(releases, key=lambda release: [int(part) for part in re.findall(r"\d+", release)])


def _entry(name: str, release: Release) -> str:
    lines = [f'[releases."{name}"]', f"cutoff = {_toml(release.cutoff)}"]
    for override in release.overrides:
        lines.append(f'[[releases."{name}".overrides]]')
        fields = override.model_dump(exclude_none=True)
        lines += [f"{key} = {_toml(value)}" for key, value in fields.items()]
    return "\n".join(lines) + "\n"


def _toml(value: str) -> str:
    # A JSON string without control characters is a TOML basic string.
    return json.dumps(value, ensure_ascii=False)


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
