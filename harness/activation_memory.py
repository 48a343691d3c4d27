"""Activation memory over sequence length, as figures that have a unit of their own."""

from dataclasses import dataclass

import numpy as np

from harness.record import ActivationMemory

MIN_POINTS = 3


@dataclass(frozen=True)
class MemorySlope:
    """What a forward pass keeps for its backward pass, as a function of the row's tokens.

    Attributes:
        bytes_per_token: Between the shortest and the longest row.
        logits_per_token: How many of these are of tensors as wide as the vocabulary.
        peak_per_token: The same of a GPU's peak over forward and backward; None without a GPU.
        with_loss: Whether the loss's own part is in these; a peak has it.
        attention_matrices: The quadratic part, in float32 matrices of tokens x tokens for each layer and
            head: eager attention keeps its softmax, which is 1, or 1.5 with a copy in 16 bit.
        layer_inputs: What is not logits, in float32 inputs of every layer: checkpointing keeps 1.
    """

    bytes_per_token: float
    logits_per_token: float
    peak_per_token: float | None
    with_loss: bool
    attention_matrices: float
    layer_inputs: float


def memory_slope(memory: ActivationMemory | None) -> MemorySlope | None:
    """Return the figures, None where fewer than three lengths were measured."""
    if memory is None or len(memory.points) < MIN_POINTS:
        return None
    first, last = memory.points[0], memory.points[-1]
    more = last.tokens - first.tokens
    tokens = [point.tokens for point in memory.points]
    quadratic = float(np.polyfit(tokens, [point.kept for point in memory.points], 2)[0])
    per_token = (last.kept - first.kept) / more
    logits = (last.kept_logits - first.kept_logits) / more
    peaks = (first.peak_gpu_allocated, last.peak_gpu_allocated)
    peak = None if peaks[0] is None or peaks[1] is None else (peaks[1] - peaks[0]) / more
    return MemorySlope(
        bytes_per_token=per_token,
        logits_per_token=logits,
        peak_per_token=peak,
        with_loss=not memory.without_loss,
        attention_matrices=quadratic / (4 * memory.layers * memory.heads),
        layer_inputs=(per_token - logits) / (4 * memory.layers * memory.hidden_size),
    )
