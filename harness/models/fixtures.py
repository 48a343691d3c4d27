"""The models that ship with the gate, by the name that follows `fixture:` in a recipe."""

from pathlib import Path

from filelock import FileLock
from safetensors import SafetensorError

from harness.abandoned import remove_files
from harness.errors import ConfigError, StorageError
from harness.models import shaped_gemma3, tiny_gemma3, tiny_gemma3_multimodal
from harness.models.gemma3 import published

MULTIMODAL = "multimodal"


def names() -> tuple[str, ...]:
    """Return every name."""
    return (*tiny_gemma3.VARIANTS, MULTIMODAL, *published())


def identity(name: str) -> str:
    """Return twelve hex digits over all that the checkpoint is made of.

    Raises:
        ConfigError: Unknown name.
    """
    _must_be_known(name)
    if name in published():
        return shaped_gemma3.identity(name)
    return tiny_gemma3_multimodal.identity() if name == MULTIMODAL else tiny_gemma3.identity(name)


def build(name: str, folder: Path) -> Path:
    """Write the checkpoint into `folder` unless it is there, and return the folder.

    One process at a time: one that trains must not read what another writes anew.

    Raises:
        ConfigError: Unknown name.
        StorageError: It cannot be written; what there is of it is not taken for a checkpoint.
    """
    _must_be_known(name)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{folder}.lock"):
            remove_files([folder])
            return _build(name, folder)
    except StorageError:
        raise
    except (OSError, SafetensorError) as error:
        raise StorageError(
            f"cannot write the fixture {folder}: {error}. Free some space, or choose another cache folder with "
            "HARNESS_CACHE."
        ) from error


def _build(name: str, folder: Path) -> Path:
    if name == MULTIMODAL:
        return tiny_gemma3_multimodal.build(folder)
    if name in published():
        return shaped_gemma3.build(name, folder)
    return tiny_gemma3.build(name, folder)


def _must_be_known(name: str) -> None:
    if name not in names():
        raise ConfigError(
            f"unknown model fixture {name!r}; known: {', '.join(sorted(names()))}. "
            "Use fixture:NAME, or the path of a checkpoint folder."
        )
