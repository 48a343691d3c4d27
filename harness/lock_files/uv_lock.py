"""uv.lock: uv itself says what it installs, the file says on which line."""

import tempfile
from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any

from harness.errors import ConfigError, InputError, StackBuildError
from harness.lock_files import requirements
from harness.lock_files.pins import LockFile
from harness.lock_files.toml_lines import VersionLines
from harness.stacks.uv_tool import run_uv
from harness.toml_file import parse_table

NAMES = ("uv.lock",)

_EVERYTHING = ("--all-extras", "--all-groups")


def knows(text: str, path: str) -> bool:
    """Whether it is one, by its first key."""
    return PurePath(path).suffix == ".lock" and text.lstrip().startswith("version = ")


def parse(text: str, path: str, *, everything: bool) -> LockFile:
    """Read a uv.lock.

    `uv export` needs the lock's pyproject.toml for no more than the project's name, so that of another commit
    need not be there.

    Raises:
        InputError: Not a lock that uv reads.
    """
    try:
        table = parse_table(text, Path(path))
    except ConfigError as error:
        raise InputError(f"{path} is not a uv.lock: {error}") from error
    found = _exported(text, path, table, *(_EVERYTHING if everything else ()))
    lines = VersionLines(text, "package")
    pins = {
        name: replace(pin, line=lines.of(name, pin.version)) for name, pin in found.pins.items()
    }
    return replace(found, pins=pins, unpinned={})


def _exported(text: str, path: str, table: dict[str, Any], *options: str) -> LockFile:
    root = _root(table)
    if root is None:
        raise InputError(
            f'{path}: no [[package]] with source = {{ virtual = "." }} or {{ editable = "." }}: this is no uv.lock '
            "of a project. Make it with `uv lock`."
        )
    with tempfile.TemporaryDirectory(prefix="gemma-lora-gate-export-") as name:
        folder = Path(name)
        (folder / "uv.lock").write_text(text, encoding="utf-8")
        python = str(table.get("requires-python", ">=3"))
        (folder / "pyproject.toml").write_text(
            f'[project]\nname = "{root}"\nversion = "0"\nrequires-python = "{python}"\n',
            encoding="utf-8",
        )
        try:
            exported = run_uv(
                "export",
                "--frozen",
                "--quiet",
                "--no-emit-local",
                "--no-header",
                "--no-annotate",
                *options,
                "--directory",
                name,
                purpose=f"read {path}",
            )
        except StackBuildError as error:
            raise InputError(f"{path} is no lock that uv reads.\n{error}") from error
    return requirements.parse(exported, path, everything=False)


def _root(table: dict[str, Any]) -> str | None:
    for package in table.get("package", []):
        source = package.get("source", {})
        if "." in (source.get("virtual"), source.get("editable")):
            return str(package["name"])
    return None
