"""Kernels of torch's own operators, put in place for this process."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch

_LIBRARIES: list[Any] = []
"""Keeps the registrations alive: torch takes them back when the library object dies."""


def register(dispatch_key: str, kernels: Mapping[str, Callable[..., Any]]) -> None:
    """Let each operator (`softmax.int`) use the given kernel where `dispatch_key` is dispatched to."""
    library = torch.library.Library("aten", "IMPL")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Warning only once for all operators")
        for name, kernel in kernels.items():
            library.impl(name, kernel, dispatch_key)
    _LIBRARIES.append(library)


def operator(name: str) -> Any:
    """Return the operator of a name with its overload: `softmax.int`, `exp`."""
    packet, _, overload = name.partition(".")
    return getattr(getattr(torch.ops.aten, packet), overload or "default")


def exists(name: str) -> bool:
    """Whether this torch has the operator."""
    return bool(torch._C._dispatch_has_kernel(f"aten::{name}"))
