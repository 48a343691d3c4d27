"""Every optimizer step reached the adapter, with numbers that are numbers.

Exists for U#2084 (the learning rate has no effect), U#3089 (all lora_B stay zero), Z#866 (finite
loss, NaN grad_norm, steps skipped in silence), U#2153 (NaN grad_norm on a bf16 card) and U#2040
(NaN with float16). A training loss of exactly 0 is a NaN that the trainer filtered from its log; a
grad_norm of exactly 0 is gradients that rounded to 0 (reports/findings/fp16-gradient-underflow.md).
"""

import math
from collections.abc import Iterator
from typing import Any

from harness.checks import Context, verdict
from harness.checks._diagnosis import diagnose, still
from harness.checks._scaler import calibrating_skips
from harness.checks._steps import has_broken_loss, is_non_finite
from harness.record import Record, Step
from harness.verdict import Outcome, Verdict


def judge(record: Record, context: Context) -> Verdict:
    """PASS when all updates were finite and applied, and every lora_B tensor moved."""
    if record.recipe["learning_rate"] == 0:
        reason = "the recipe trains with learning rate 0: no update is asked for"
        return verdict("training_applied", record, Outcome.SKIPPED, reason)
    calibrating = calibrating_skips(record)
    judged = [step for step in record.steps if step.step not in calibrating]
    problems = [
        *_step_problems(record, judged),
        *_learning_rate_problems(record),
        *_adapter_problems(record),
    ]
    evidence: dict[str, Any] = {
        "steps": len(record.steps),
        "share_applied": _share_applied(record.steps),
        "calibrating_skips": sorted(calibrating),
    }
    if not problems:
        adapter = record.adapter
        assert adapter is not None
        skipped = f" after {len(calibrating)} calibrating skips" if calibrating else ""
        return verdict(
            "training_applied",
            record,
            Outcome.PASS,
            f"all {len(judged)} steps were applied{skipped}, with finite loss and grad_norm; "
            f"{adapter.lora_b_moved} of {adapter.lora_b_tensors} lora_B tensors moved",
            **evidence,
        )
    found = diagnose(record)
    return verdict(
        "training_applied",
        record,
        Outcome.FAIL,
        "; ".join(problems),
        diagnosis=found.causes,
        advice=found.advice,
        **{**found.evidence, **evidence},
    )


def _step_problems(record: Record, steps: list[Step]) -> Iterator[str]:
    if not record.steps:
        yield "no optimizer step was logged"
        return
    unseen = [s for s in steps if s.applied is None and s.learning_rate != 0]
    if not steps:
        yield f"all {len(record.steps)} steps were skipped by the GradScaler"
    yield from _on(steps, unseen, "nobody saw whether it applied")
    yield from _on(steps, [s for s in steps if s.applied is False], "the update was not applied")
    yield from _on(steps, [s for s in steps if s.loss is None], "loss is missing")
    yield from _on(steps, [s for s in steps if has_broken_loss(s)], "loss is NaN, inf or 0")
    yield from _on(
        steps, [s for s in steps if is_non_finite(s.grad_norm)], "grad_norm is no number"
    )
    yield from _on(steps, [s for s in steps if s.grad_norm == 0.0], "grad_norm is exactly 0")
    if record.recipe["max_grad_norm"] > 0:
        yield from _on(steps, [s for s in steps if s.grad_norm is None], "grad_norm is missing")


def _learning_rate_problems(record: Record) -> Iterator[str]:
    wrong, warming_up = [], record.recipe["warmup_steps"] > 0
    for step in record.steps:
        rate = step.learning_rate
        # A warm-up starts from 0, and stays there while a scaler skips: the scheduler waits.
        if rate is not None and not (rate == 0 and warming_up) and not 0 < rate < math.inf:
            wrong.append(step)
        warming_up = warming_up and step.applied is False
    yield from _on(record.steps, wrong, "learning_rate is not above 0")


def _adapter_problems(record: Record) -> Iterator[str]:
    adapter = record.adapter
    if adapter is None:
        yield "the record says nothing of the adapter"
        return
    if adapter.lora_b_tensors == 0:
        yield "the model has no lora_B tensor"
    elif still(record):
        yield "the adapter is bit for bit what it was before training"
    elif adapter.lora_b_moved < adapter.lora_b_tensors:
        share = adapter.lora_b_moved / adapter.lora_b_tensors
        yield (
            f"only {adapter.lora_b_moved} of {adapter.lora_b_tensors} lora_B tensors moved "
            f"({share:.0%}); with a gradient through every layer all of them do"
        )
    if not adapter.finite:
        yield "the adapter holds NaN or infinity"


def _on(steps: list[Step], some: list[Step], what: str) -> Iterator[str]:
    if some:
        yield f"{what} on {len(some)} of {len(steps)} steps (first: step {some[0].step})"


def _share_applied(steps: list[Step]) -> float | None:
    known = [step.applied for step in steps if step.applied is not None]
    return sum(known) / len(known) if known else None
