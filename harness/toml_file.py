"""A TOML file of the harness, read into its model: what cannot be used is said with its place."""

import tomllib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from harness.errors import ConfigError, first_problem

Model = TypeVar("Model", bound=BaseModel)


def read_model(path: Path, model: type[Model], what: str = "") -> Model:
    """Read and validate a file.

    Args:
        path: The file.
        model: What it holds.
        what: The file's role, for the message where it cannot be read.

    Raises:
        ConfigError: Unreadable, not TOML, or a key or value that the model does not take.
    """
    return _validated(read_table(path, what), model, path)


def parse_model(text: str, path: Path, model: type[Model]) -> Model:
    """Validate a text that is, or is to be, at `path`; raises like `read_model`."""
    return _validated(parse_table(text, path), model, path)


def read_table(path: Path, what: str = "") -> dict[str, Any]:
    """Read a file without a model.

    Raises:
        ConfigError: Unreadable or not TOML.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        named = f"{what} {path}" if what else path
        raise ConfigError(f"cannot read {named}: {error.strerror}.") from error
    return parse_table(text, path)


def parse_table(text: str, path: Path) -> dict[str, Any]:
    """Parse a text that is, or is to be, at `path`; raises like `read_table`."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not TOML: {error}.") from error


def _validated(table: dict[str, Any], model: type[Model], path: Path) -> Model:
    try:
        return model.model_validate(table)
    except ValidationError as error:
        raise ConfigError(f"{path}: {first_problem(error, 'file')}.") from error
