"""Logits of a model without labels, also where a release's own forward needs labels to work."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn import functional

from .sequences import IGNORED

_CHUNK = 256
"""Places whose logits are float32 at a time: 262144 tokens x 256 places are 256 MiB."""


@contextmanager
def head_takes_any_stream(model: Any) -> Iterator[None]:
    """Hand the head its stream in the weights' dtype.

    On a card without bfloat16 some releases hand a float32 stream to a float16 head, which only their
    fused loss takes ("float != Half").
    """
    mended = model.get_output_embeddings().register_forward_pre_hook(_in_the_weights_dtype)
    try:
        yield
    finally:
        mended.remove()


def summed_cross_entropy(logits: Any, targets: Any) -> float:
    """Return the cross-entropy of the supervised targets, summed, in float32 a chunk at a time.

    Args:
        logits: Of shape (tokens, vocabulary), any float dtype.
        targets: Of shape (tokens,), -100 where none is wanted.
    """
    total = 0.0
    for some, wanted in zip(logits.split(_CHUNK), targets.split(_CHUNK), strict=True):
        losses = functional.cross_entropy(
            some.float(), wanted.to(some.device), reduction="none", ignore_index=IGNORED
        )
        total += losses.double().sum().item()
    return total


def largest_difference(one: Any, other: Any) -> tuple[float, float]:
    """Return the largest |one - other| and the largest |one|, a chunk at a time."""
    moved, size = one.new_zeros((), dtype=torch.float32), one.new_zeros((), dtype=torch.float32)
    for a, b in zip(one.split(_CHUNK), other.split(_CHUNK), strict=True):
        # torch.maximum keeps a NaN.
        moved = torch.maximum(moved, (a.float() - b.float()).abs().max())
        size = torch.maximum(size, a.float().abs().max())
    return moved.item(), size.item()


def _in_the_weights_dtype(head: Any, args: Any) -> Any:
    weight = head.weight
    return (args[0].to(weight.dtype), *args[1:]) if weight.is_floating_point() else None
