"""Activation memory grows with the length of a row as attention and checkpointing let it.

Exists for fused attention that falls back to one that keeps matrices of tokens x tokens, and for
gradient checkpointing that is on and keeps every activation (U#2126, U#4128: memory-hungry at lengths
that nobody tests). Needs no baseline: `harness.activation_memory` counts in matrices and layer inputs.
How many bytes a token takes is for the check `memory`.
"""

from harness.activation_memory import MemorySlope, memory_slope
from harness.checks import Context, verdict
from harness.record import Record
from harness.verdict import Outcome, Verdict

MAX_EAGER_MATRICES = 2.5
"""Policy: for each layer and head. Clean runs keep 1 in float32 and 1.5 in 16 bit."""
MAX_FUSED_MATRICES = 0.5
"""Policy: clean runs keep masks, 0.1; a kernel that is not fused keeps 1 and more."""
MAX_CHECKPOINTED_INPUTS = 4.0
"""Policy: clean runs keep 1.2; without checkpointing the tiny model keeps 39."""


def judge(record: Record, context: Context) -> Verdict:
    """FAIL more matrices than the attention keeps, or more layer inputs than checkpointing does."""
    del context
    memory = record.probe.activation_memory if record.probe else None
    slope = memory_slope(memory)
    if slope is None:
        why = (memory and memory.problem) or "the run did not measure its activation memory"
        return verdict("memory_slope", record, Outcome.SKIPPED, why)
    attention = record.executed.attention_implementation if record.executed else "unknown"
    limit = MAX_EAGER_MATRICES if attention == "eager" else MAX_FUSED_MATRICES
    checkpoints = bool(record.recipe.get("gradient_checkpointing"))
    quadratic = slope.attention_matrices > limit
    unchecked = checkpoints and slope.layer_inputs > MAX_CHECKPOINTED_INPUTS
    causes, advice = [], []
    if quadratic:
        causes.append(f"{attention} attention keeps matrices of tokens x tokens")
        advice.append("see which kernel runs: a mask or a dtype can rule the fused ones out")
    if unchecked:
        causes.append("gradient checkpointing is asked for and does not take place")
        advice.append("see whether the decoder layers are called through checkpoint()")
    return verdict(
        "memory_slope",
        record,
        Outcome.FAIL if causes else Outcome.PASS,
        _measured(slope, attention, limit, checkpoints),
        diagnosis=tuple(causes),
        advice=tuple(advice),
        bytes_per_token=slope.bytes_per_token,
        logits_bytes_per_token=slope.logits_per_token,
        peak_bytes_per_token=slope.peak_per_token,
        attention_matrices=slope.attention_matrices,
        layer_inputs=slope.layer_inputs,
    )


def _measured(slope: MemorySlope, attention: str, limit: float, checkpoints: bool) -> str:
    words = (
        f"a token keeps {slope.bytes_per_token / 2**10:.1f} KiB, {attention} attention "
        f"{slope.attention_matrices:.2f} matrices of tokens x tokens a layer and head (at most {limit:g})"
    )
    if not slope.with_loss:
        words += ", all without the loss, which rules the measuring hooks out"
    if checkpoints:
        words += (
            f", gradient checkpointing {slope.layer_inputs:.1f} inputs a layer "
            f"(at most {MAX_CHECKPOINTED_INPUTS:g})"
        )
    return words
