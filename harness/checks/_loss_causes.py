"""Which arithmetic gives a reported loss that is not the mean over its tokens."""

import math
from collections.abc import Iterator, Sequence

from harness.comparison import relative
from harness.record import BatchLoss, Evaluation, Record
from harness.tolerances import Tolerance

_LEAST = 1e-5
"""Relative distance at which two losses count as the same for a cause, where the tolerance is less."""

_ANOTHER = (
    "the trainer computes another loss: labels that are not shifted (U#2933, U#2957), smoothing, or a "
    "default that moved (U#8261)"
)


def step_cause(record: Record, reported: float | None, tolerance: Tolerance | None) -> str:
    """Return what makes the loss of step 1 out of its batches."""
    assert record.probe is not None
    assert reported is not None
    near = _near(tolerance)
    for value, cause in _step_candidates(record):
        if relative(reported, value) <= near:
            return cause
    function = f" ({record.executed.loss_function})" if record.executed else ""
    return _ANOTHER + function


def evaluation_cause(evaluation: Evaluation, tolerance: Tolerance | None) -> str:
    """Return what makes an eval_loss out of its batches."""
    batches, near = evaluation.batches, _near(tolerance)
    rows = sum(b.rows for b in batches)
    over_labels = math.fsum(b.rows * (b.loss or 0.0) / b.labels for b in batches) / rows
    by_rows = math.fsum((b.loss or 0.0) / b.tokens for b in batches) / rows
    reported = evaluation.eval_loss or 0.0
    if relative(reported, over_labels) <= near:
        return (
            "each batch's loss is divided by its labels before the shift: the first of a row is counted, "
            "and nothing predicts it (HF#46204)"
        )
    if relative(reported, by_rows) <= near:
        return (
            "each batch's loss is divided by its rows once more: eval_loss depends on them (U#1711)"
        )
    return _ANOTHER


def token_mean(batches: Sequence[BatchLoss]) -> float:
    """Return the mean over all tokens of the batches."""
    return math.fsum(b.loss or 0.0 for b in batches) / sum(b.tokens for b in batches)


def _step_candidates(record: Record) -> Iterator[tuple[float, str]]:
    assert record.probe is not None
    batches = [b for b in record.probe.first_step if b.tokens]
    wanted, count = token_mean(batches), len(batches)
    total = math.fsum(b.loss or 0.0 for b in batches)
    tokens, labels = sum(b.tokens for b in batches), sum(b.labels for b in batches)
    if count > 1:
        by_batch = math.fsum((b.loss or 0.0) / b.tokens for b in batches) / count
        yield (
            by_batch,
            "each micro-batch is averaged by itself, whatever its tokens (HF#34191, U#1134)",
        )
        yield (
            wanted / count,
            f"the loss is divided by the {count} micro-batches once too often (U#4982, U#5037)",
        )
        yield wanted * count, f"the means of the {count} micro-batches are added up, not averaged"
    yield (
        total / labels,
        f"the divisor is {labels}, the labels before the shift, and {tokens} are predicted (HF#46204)",
    )
    if record.steps[0].tokens:
        yield (
            total / record.steps[0].tokens,
            f"the divisor is {record.steps[0].tokens}, all tokens, and {tokens} count (Z#1066)",
        )
    if record.probe.items:
        yield (
            total / record.probe.items,
            f"the divisor is num_items_in_batch = {record.probe.items:g}, and {tokens} tokens count",
        )


def _near(tolerance: Tolerance | None) -> float:
    return max(_LEAST, tolerance.relative if tolerance else 0.0)
