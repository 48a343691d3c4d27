"""The losses that a trainer reports are those of its rows, computed apart from the logits.

Exists for U#4982 and U#5037 (divided by the accumulation once too often), HF#34191 and U#1134 (each
micro-batch averaged by itself), Z#1066 (masked tokens in the divisor), HF#46204 (labels counted before
the shift), U#2933 (labels not shifted), U#1711 (eval_loss that depends on the batch size) and U#8261 (a default that changes the loss).
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from harness.checks import Context, verdict
from harness.checks._loss_causes import evaluation_cause, step_cause, token_mean
from harness.comparison import Comparison, compare, find, largest, relative, uncalibrated
from harness.record import BatchLoss, Record
from harness.verdict import Outcome, Verdict

NAME = "reported_loss"
STEP = "loss of step 1"
EVALUATION = "eval_loss"


def judge(record: Record, context: Context) -> Verdict:
    """PASS when the loss of step 1 is the mean over its tokens, and each eval_loss that of its batches.

    Step 1 is held against one mean over all tokens of the accumulation: an average of its
    micro-batches' means weighs ragged rows wrongly (HF#34191). transformers does average batches in
    evaluation, so there either mean is right.
    """
    step, evaluations = list(_step(record)), list(_evaluations(record))
    comparisons = [*step, *evaluations]
    if not comparisons:
        return verdict(NAME, record, Outcome.SKIPPED, _nothing(record))
    evidence: dict[str, Any] = {one.name: one.deviation for one in comparisons}
    problems = [
        *(_step_problem(record) for one in step if one.fails),
        *_evaluation_problems(record, evaluations),
    ]
    if problems:
        return verdict(
            NAME,
            record,
            Outcome.FAIL,
            "; ".join(problems),
            diagnosis=tuple(_causes(record, step, evaluations)),
            advice=("take step 1 apart beside the reference stack: harness explain",),
            **evidence,
        )
    if unknown := uncalibrated(record, comparisons):
        return verdict(NAME, record, Outcome.UNCALIBRATED, unknown, **evidence)
    parts = [f"the loss of step 1 is that of its tokens to {largest(step):.2g}"] if step else []
    if evaluations:
        parts.append(f"every eval_loss is that of its batches to {largest(evaluations):.2g}")
        parts.append(_from_token_mean(record))
    if not step:
        parts.append(f"step 1 was not compared ({_nothing(record)})")
    return verdict(NAME, record, Outcome.PASS, "; ".join(parts), **evidence)


def _step(record: Record) -> Iterator[Comparison]:
    wanted, reported = _wanted(record), _reported(record)
    if wanted is not None and reported is not None:
        yield compare(record, NAME, STEP, relative(reported, wanted))


def _evaluations(record: Record) -> Iterator[Comparison]:
    for index, evaluation in enumerate(record.evaluations):
        means = _means(evaluation.batches)
        if means is not None and _is_number(evaluation.eval_loss):
            assert evaluation.eval_loss is not None
            deviation = min(relative(evaluation.eval_loss, mean) for mean in means)
            yield compare(record, NAME, EVALUATION, deviation, f"eval_loss {index}")


def _step_problem(record: Record) -> str:
    wanted, reported = _wanted(record), _reported(record)
    assert record.probe is not None
    tokens = sum(batch.tokens for batch in record.probe.first_step)
    return (
        f"the loss of step 1 is {reported:.5g}, the mean cross-entropy of its {tokens} tokens is "
        f"{wanted:.5g}"
    )


def _evaluation_problems(record: Record, comparisons: Sequence[Comparison]) -> Iterator[str]:
    failing = [one.name for one in comparisons if one.fails]
    for index, evaluation in enumerate(record.evaluations):
        means = _means(evaluation.batches)
        if means is not None and failing[:1] == [f"eval_loss {index}"]:
            yield (
                f"{len(failing)} of {len(comparisons)} eval_loss are not those of their batches: "
                f"number {index + 1} is {evaluation.eval_loss:.5g}, the mean of its batches "
                f"{means[0]:.5g} and of its tokens {means[1]:.5g}"
            )


def _causes(
    record: Record, step: Sequence[Comparison], evaluations: Sequence[Comparison]
) -> Iterator[str]:
    if any(one.fails for one in step):
        yield step_cause(record, _reported(record), find(record, NAME, STEP))
    failing = [int(one.name.split()[1]) for one in evaluations if one.fails]
    if failing:
        yield evaluation_cause(record.evaluations[failing[0]], find(record, NAME, EVALUATION))


def _from_token_mean(record: Record) -> str:
    far = [
        relative(e.eval_loss, means[1])
        for e in record.evaluations
        if (means := _means(e.batches)) and e.eval_loss is not None
    ]
    return f"from the mean over tokens it is {max(far):.2g} away"


def _means(batches: Sequence[BatchLoss]) -> tuple[float, float] | None:
    """Return the mean of batch means, each as often as it has rows, and the mean over tokens."""
    known = [b for b in batches if b.tokens and _is_number(b.loss)]
    if not known or len(known) < len(batches):
        return None
    rows = sum(b.rows for b in known)
    by_batch = math.fsum(b.rows * (b.loss or 0.0) / b.tokens for b in known) / rows
    return by_batch, token_mean(known)


def _wanted(record: Record) -> float | None:
    batches = record.probe.first_step if record.probe else []
    mean = token_mean(batches) if sum(b.tokens for b in batches) else None
    return mean if _is_number(mean) else None


def _reported(record: Record) -> float | None:
    first = record.steps[0] if record.steps and record.steps[0].step == 1 else None
    raw = first.raw_loss if first is not None else None
    # Exactly 0 is what is left of no label or of a NaN: training_applied says so.
    return raw if _is_number(raw) and raw != 0 else None


def _nothing(record: Record) -> str:
    if record.probe is None:
        return "the record has no losses computed apart; run the cell again"
    if record.probe.problem is not None:
        return f"the model gave no losses apart from the trainer: {record.probe.problem}"
    return "no reported loss is a number, or no label is supervised"


def _is_number(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
