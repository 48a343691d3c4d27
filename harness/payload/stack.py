"""The libraries of a stack, imported: with the hardware that they are shown in place before."""

import gc
import importlib
import os
from dataclasses import dataclass
from typing import Any

from .backend import Backend, import_backend
from .emulation import newer_torch


@dataclass(frozen=True)
class Stack:
    """An imported stack.

    Attributes:
        replaced: Parts of the libraries that the emulation stands in for, or that are stepped around.
        environment: Variables as they were before the libraries set their own.
    """

    backend: Backend
    replaced: list[str]
    environment: dict[str, str]


def import_stack(family: str, hardware: dict[str, Any]) -> Stack:
    """Show the library its hardware, and import it.

    Args:
        family: `unsloth` or `reference`.
        hardware: As in a job.
    """
    environment, replaced = dict(os.environ), []
    if hardware["kind"] == "emulated":
        from . import emulation

        show = emulation.present if hardware["on_gpu"] else emulation.install
        replaced = list(show(emulation.Profile.of(hardware)))
    if hardware["on_gpu"] and family == "unsloth":
        replaced += newer_torch.step_around()
    backend = import_backend(family)
    for name in ("evidence", "faults"):
        importlib.import_module(f"{__package__}.{name}")
    # Unsloth collects garbage ten times a load; what was imported stays, so need not be walked.
    gc.freeze()
    return Stack(backend, replaced, environment)
