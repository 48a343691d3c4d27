"""The models that ship with the gate, by the name that follows `fixture:` in a recipe."""

from pathlib import Path

from harness.errors import ConfigError
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

    Raises:
        ConfigError: Unknown name.
    """
    _must_be_known(name)
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
