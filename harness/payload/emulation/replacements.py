"""Parts of the libraries under test that cannot run on a CPU, and what stands in for each.

A stand-in is a last resort: it computes what the part computes, by other means. Each one names
itself in the record (`hardware.replaced`), so that nobody takes it for the release's own code.
"""

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from . import newer_torch

_STAND_INS: dict[str, tuple[str, Callable[[], bool]]] = {}


def stand_in_for(part: str, reason: str) -> Callable[[Callable[[], bool]], Callable[[], bool]]:
    """Register a function that puts a stand-in in place and says whether the stack has the part."""

    def register(apply: Callable[[], bool]) -> Callable[[], bool]:
        _STAND_INS[part] = (reason, apply)
        return apply

    return register


def apply_all() -> list[str]:
    """Put every stand-in in place; return `part: reason` for those whose part is in this stack."""
    return [f"{part}: {reason}" for part, (reason, apply) in _STAND_INS.items() if apply()]


@stand_in_for(
    "cut_cross_entropy.linear_cross_entropy",
    "its Triton kernel does not run in Triton's interpreter; the package's own torch implementation "
    "computes the same loss, in float32",
)
def _cut_cross_entropy() -> bool:
    if not _installed("cut_cross_entropy"):
        return False
    import cut_cross_entropy

    original = cut_cross_entropy.linear_cross_entropy

    def linear_cross_entropy(e: Any, c: Any, targets: Any, *args: Any, **options: Any) -> Any:
        # The kernel keeps logits in float32 whatever the dtype of its factors.
        with torch.autocast("cuda", enabled=False):
            options["impl"] = "torch_compile"
            return original(e.float(), c.float(), targets, *args, **options)

    cut_cross_entropy.linear_cross_entropy = linear_cross_entropy
    return True


@stand_in_for(
    "bitsandbytes' CUDA library",
    "4-bit weights are packed and unpacked by its CPU kernels; a CUDA kernel called by name raises",
)
def _bitsandbytes() -> bool:
    if not _installed("bitsandbytes"):
        return False
    import bitsandbytes.functional

    bitsandbytes.functional.lib = _Library(bitsandbytes.functional.lib)
    return True


@stand_in_for(
    "torchvision's compiled operators",
    "the release imports torchvision, whose library for CUDA does not load beside the CPU build of "
    "torch; its operators are declared, not implemented: text-only training calls none; its version is not "
    "held against torch's, which is this environment's own",
)
def _torchvision() -> bool:
    if not _installed("torchvision") or not declare_torchvision_operators():
        return False
    # Unsloth's own switch. From 2026.2 on it refuses the day's torchvision beside a torch of another day.
    os.environ["UNSLOTH_SKIP_TORCHVISION_CHECK"] = "1"
    return True


def declare_torchvision_operators() -> bool:
    """Let torchvision be imported where its library for CUDA does not load; return whether it does not.

    Where it loads, as beside a GPU machine's own torch, a second declaration would end the process.
    """
    spec = importlib.util.find_spec("torchvision")
    if spec is not None and spec.origin is not None:
        try:
            torch.ops.load_library(str(Path(spec.origin).with_name("_C.so")))
        except OSError:
            pass
        else:
            return False
    for name in ("nms", "qnms"):
        torch.library.define(
            f"torchvision::{name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
        )
    return True


@stand_in_for(
    newer_torch.PATCH,
    "it rewrites the source of torch.compile's autograd as torch 2.6 had it and fails on the torch of "
    "this environment; nothing is compiled in an emulated run, so it is skipped",
)
def _compiled_autograd() -> bool:
    if not newer_torch.rewrites_compiled_autograd():
        return False
    newer_torch.skip_patch()
    return True


class _Library:
    """bitsandbytes' native library with the names of its CUDA kernels.

    Unsloth binds the kernels when it is imported and gives up 4 bit where one is missing.
    """

    def __init__(self, library: Any) -> None:
        self._library = library

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._library, name, None)
        return found if hasattr(found, "restype") else _Missing(name)


class _Missing:
    """A CUDA kernel: it can be bound, not called."""

    restype = None

    def __init__(self, name: str) -> None:
        self._name = name

    def __call__(self, *args: Any) -> Any:
        raise RuntimeError(f"{self._name} is a CUDA kernel; this run's card is emulated")


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None
