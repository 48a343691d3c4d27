"""Which figures of a step are figures."""

import math

from harness.record import Record, Step


def has_broken_loss(step: Step) -> bool:
    """Whether the training loss of a step is NaN, infinite or exactly 0.

    With logging_nan_inf_filter, the default, transformers' Trainer logs a NaN step as exactly 0.
    The raw loss, where the record has it, tells such a 0 from a small loss that the log rounds.
    """
    seen = step.loss if step.raw_loss is None else step.raw_loss
    return is_non_finite(step.loss) or is_non_finite(seen) or seen == 0.0


def is_non_finite(value: float | None) -> bool:
    """Whether a figure was measured and is NaN or infinite."""
    return value is not None and not math.isfinite(value)


def finite_losses(record: Record) -> list[float]:
    """Return the training losses that are losses, in order."""
    return [s.loss for s in record.steps if s.loss is not None and not has_broken_loss(s)]
