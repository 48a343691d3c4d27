"""Why training did not reach the evaluation: causes that the evidence in one record supports."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

from harness.checks._float16 import first_layer_beyond_float16, float16_advice, float16_uses
from harness.checks._scaler import calibrating_skips
from harness.checks._steps import finite_losses, has_broken_loss, is_non_finite
from harness.record import Record, Step

TEXT_ONLY = "train a text-only checkpoint, or this one where vision models are supported"


class Finding(NamedTuple):
    """One cause with its evidence in words, and what to change about it."""

    cause: str
    advice: tuple[str, ...]


@dataclass(frozen=True)
class Diagnosis:
    """Causes, most likely first, and what to change about them, most useful first."""

    causes: tuple[str, ...]
    advice: tuple[str, ...]
    evidence: dict[str, Any]


def diagnose(record: Record) -> Diagnosis:
    """Explain a frozen, failing or non-finite evaluation from the record alone.

    A cause that explains the others comes first: a learning rate of zero, then numbers that leave
    the dtype's range at either end, then steps that were skipped, then an adapter that nobody updates, then an
    evaluation that does not look at the adapter (U#2032, U#2084, U#2040, Z#866, U#3089).
    """
    found = [
        *_zero_learning_rate(record),
        *_low_learning_rate(record),
        *_overflow(record),
        *_non_finite(record),
        *_vanished(record),
        *_skipped(record),
        *_frozen_adapter(record),
        *_partly_frozen_adapter(record),
        *_unreached_vision(record),
        *_detached_evaluation(record),
        *_saturated(record),
    ]
    if not found:
        found = [*_small_updates(record)]
    return Diagnosis(
        causes=tuple(finding.cause for finding in found),
        advice=tuple(dict.fromkeys(advice for finding in found for advice in finding.advice)),
        evidence=_evidence(record),
    )


def _zero_learning_rate(record: Record) -> Iterator[Finding]:
    # A scheduler waits while the scaler skips: a rate of 0 on a skipped step is no cause but a result.
    taken = [s for s in record.steps if s.applied is not False or s.learning_rate]
    rates = [s.learning_rate for s in taken if s.learning_rate is not None]
    if rates and not any(rates):
        yield Finding(
            f"the learning rate is 0 on all {len(rates)} steps, the recipe asks for "
            f"{record.recipe['learning_rate']:g}: no update can change the adapter",
            ("check learning_rate, the scheduler and its step count in the effective arguments",),
        )


def _low_learning_rate(record: Record) -> Iterator[Finding]:
    wanted = float(record.recipe["learning_rate"])
    highest = max((s.learning_rate or 0.0 for s in record.steps), default=0.0)
    # Every schedule of more than a few steps reaches its peak, unless a scaler holds it back.
    if 0 < highest < wanted / 2 and not any(s.applied is False for s in record.steps):
        yield Finding(
            f"the learning rate never exceeds {highest:g}, the recipe asks for {wanted:g}",
            ("check learning_rate, the scheduler and its step count in the effective arguments",),
        )


def _overflow(record: Record) -> Iterator[Finding]:
    uses, layer = float16_uses(record), first_layer_beyond_float16(record)
    if uses and layer is not None:
        yield Finding(
            f"float16 overflow: |activation| is {layer[1]:.4g} in {layer[0]}, float16 ends at "
            f"65504, and {' and '.join(uses)} use float16 ({_device(record)})",
            float16_advice(),
        )


def _non_finite(record: Record) -> Iterator[Finding]:
    gradients = _unexcused(record, [s for s in record.steps if is_non_finite(s.grad_norm)])
    losses = [s for s in record.steps if has_broken_loss(s)]
    uses = float16_uses(record)
    advice = float16_advice() if uses else ("find the first operation that returns NaN",)
    where = f"under float16 {' and '.join(uses)}" if uses else "without float16"
    if gradients:
        yield Finding(
            f"grad_norm is not finite on {_share(gradients, record.steps)}, {where}: the backward "
            "pass overflows or divides by zero",
            advice,
        )
    if losses:
        hidden = _hidden_by_the_log(losses)
        yield Finding(
            f"the training loss is no number on {_share(losses, record.steps)}{hidden}", advice
        )
    if record.adapter is not None and not record.adapter.finite:
        yield Finding("the adapter itself holds NaN or infinity after training", advice)


def _vanished(record: Record) -> Iterator[Finding]:
    """Gradients that float16 rounds to 0: below 3e-8, half of its smallest number (2**-24)."""
    vanished = [s for s in record.steps if s.grad_norm == 0.0 and not has_broken_loss(s)]
    if not vanished:
        return
    cause = f"grad_norm is exactly 0 on {_share(vanished, record.steps)} although the loss is not"
    if "float16" not in record.precision.weights:
        yield Finding(cause, ("check that the loss depends on the trained parameters",))
        return
    layer = first_layer_beyond_float16(record)
    large = (
        f", the smaller the larger the activations ({layer[1]:.4g} in {layer[0]})" if layer else ""
    )
    scaled = "a GradScaler" if record.scaler and record.scaler.enabled else "no GradScaler"
    yield Finding(
        f"{cause}: gradients pass through the float16 of the weights with {scaled}, where what is "
        f"below 3e-8 rounds to 0{large}",
        float16_advice(),
    )


def _hidden_by_the_log(losses: list[Step]) -> str:
    zeros = [s for s in losses if s.loss == 0.0]
    if not zeros:
        return ""
    hidden = f"; {len(zeros)} of them log exactly 0, as logging_nan_inf_filter makes of NaN"
    if any(is_non_finite(s.grad_norm) or is_non_finite(s.raw_loss) for s in zeros):
        return hidden
    return f"{hidden}, or no label is supervised (U#2117)"


def _skipped(record: Record) -> Iterator[Finding]:
    unapplied = [s for s in record.steps if s.applied is False and s.grad_norm != 0.0]
    skipped = _unexcused(record, unapplied)
    scaler = record.scaler
    if skipped and scaler is not None and scaler.enabled:
        total = scaler.applied + scaler.skipped
        yield Finding(
            f"the GradScaler skipped {scaler.skipped} of {total} steps (scale "
            f"{_figure(scaler.scale_first)} -> {_figure(scaler.scale_last)}): their gradients were "
            "not finite",
            float16_advice(),
        )
    elif skipped:
        yield Finding(
            f"the optimizer changed nothing on {_share(skipped, record.steps)}, with no GradScaler",
            ("check what the trainer does between backward and optimizer.step()",),
        )


def _unexcused(record: Record, steps: list[Step]) -> list[Step]:
    """Return `steps`, or none of them when a GradScaler may skip every one."""
    excused = calibrating_skips(record)
    return [] if all(step.step in excused for step in steps) else steps


def _frozen_adapter(record: Record) -> Iterator[Finding]:
    adapter = record.adapter
    if adapter is None or not (still(record) or adapter.lora_b_moved == 0):
        return
    if adapter.trainable_parameters == 0 or adapter.lora_b_tensors == 0:
        yield Finding(
            f"nothing trains: {adapter.trainable_parameters} trainable parameters and "
            f"{adapter.lora_b_tensors} lora_B tensors",
            ("attach the adapter before the trainer is built; check target_modules",),
        )
        return
    effective = [s for s in record.steps if _should_move(s)]
    if effective:
        yield Finding(
            f"frozen adapter: {adapter.lora_b_moved} of {adapter.lora_b_tensors} lora_B tensors "
            f"moved although {len(effective)} steps were applied with finite gradients: the "
            "optimizer does not own the LoRA parameters, or they lost requires_grad",
            ("build the trainer after get_peft_model, and check requires_grad of every lora_B",),
        )


def _partly_frozen_adapter(record: Record) -> Iterator[Finding]:
    adapter, weights = record.adapter, record.base_weights
    if weights is not None and weights.trainable.get("vision", 0):
        return  # the tensors that stand still are the tower's
    if adapter is not None and adapter.lora_b_frozen:
        yield Finding(
            f"{adapter.lora_b_frozen} of {adapter.lora_b_tensors} lora_B tensors do not train: they "
            "lost requires_grad",
            ("check requires_grad of every lora_B before the trainer is built",),
        )
        return
    if adapter is not None and 0 < adapter.lora_b_moved < adapter.lora_b_tensors:
        still_ones = adapter.lora_b_tensors - adapter.lora_b_moved
        yield Finding(
            f"{still_ones} of {adapter.lora_b_tensors} lora_B tensors did not move: the optimizer "
            "owns only part of the LoRA parameters, or no gradient reaches them",
            ("compare the optimizer's param_groups with the parameters that require a gradient",),
        )


def _unreached_vision(record: Record) -> Iterator[Finding]:
    weights = record.base_weights
    if weights is not None and (count := weights.trainable.get("vision", 0)):
        yield Finding(
            f"{count} trainable tensors are in the vision tower, which rows of text never reach",
            (TEXT_ONLY,),
        )


def _should_move(step: Step) -> bool:
    numbers = not (is_non_finite(step.grad_norm) or has_broken_loss(step))
    moves = step.applied is not False and step.learning_rate != 0 and step.grad_norm != 0
    return numbers and moves


def still(record: Record) -> bool:
    """Whether the adapter after training is bit for bit what it was before."""
    adapter = record.adapter
    return adapter is not None and adapter.digest_before == adapter.digest_after


def _detached_evaluation(record: Record) -> Iterator[Finding]:
    adapter, losses = record.adapter, finite_losses(record)
    if (
        adapter is not None
        and adapter.finite
        and not still(record)
        and adapter.lora_b_moved > 0
        and len(set(losses)) > 1
        and any_constant(record.eval_losses)
    ):
        yield Finding(
            f"the evaluation does not depend on the trained weights: the adapter moved and the "
            f"training loss went from {losses[0]:.4g} to {losses[-1]:.4g}, yet eval_loss repeats: "
            + _which_evaluation(record),
            ("evaluate the trained model once by hand, and compare with the last eval_loss",),
        )


def _which_evaluation(record: Record) -> str:
    token_losses = [e.token_loss for e in record.evaluations if e.token_loss is not None]
    if len(token_losses) > 1 and not any_constant(token_losses):
        return "the logits of every evaluation differ, so the reported figure is a cached one"
    return "another model is evaluated, or the adapter is off in evaluation"


def any_constant(losses: Sequence[float]) -> bool:
    """Whether two consecutive finite evaluations are exactly equal."""
    return any(a == b for a, b in pairwise(losses))


def _saturated(record: Record) -> Iterator[Finding]:
    layer = first_layer_beyond_float16(record)
    if layer is not None and not float16_uses(record) and "float16" in record.precision.weights:
        yield Finding(
            f"the weights are float16 and |activation| is {layer[1]:.4g} in {layer[0]}: what is "
            "computed in the weights' dtype saturates at 65504 without a NaN",
            float16_advice(),
        )


def _small_updates(record: Record) -> Iterator[Finding]:
    losses, adapter = finite_losses(record), record.adapter
    if not losses or adapter is None:
        return
    training = f"training loss {losses[0]:.4g} -> {losses[-1]:.4g}"
    if losses[-1] < losses[0]:
        cause = f"training learns what does not carry over to the evaluation rows ({training})"
        advice = "compare train and evaluation data and templates; lower the epochs or the rate"
    else:
        cause = (
            f"every step was applied and finite, but training does not learn either ({training}, "
            f"largest adapter update {_figure(adapter.max_abs_update)})"
        )
        advice = f"try another learning_rate than {record.recipe['learning_rate']:g}"
    yield Finding(cause, (advice,))


def _device(record: Record) -> str:
    return f"{record.hardware.name}, {record.hardware.kind}"


def _share(some: Sequence[Step], every: Sequence[Step]) -> str:
    return f"{len(some)} of {len(every)} steps (first: step {some[0].step})"


def _figure(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.4g}"


def _evidence(record: Record) -> dict[str, Any]:
    return {
        "eval_loss": record.eval_losses,
        "learning_rate": [s.learning_rate for s in record.steps],
        "non_finite_grad_norm_steps": [s.step for s in record.steps if is_non_finite(s.grad_norm)],
        "broken_loss_steps": [s.step for s in record.steps if has_broken_loss(s)],
        "unapplied_steps": [s.step for s in record.steps if s.applied is False],
        "scaler": record.scaler.model_dump() if record.scaler else None,
        "adapter": record.adapter.model_dump() if record.adapter else None,
        "max_abs_activation": record.precision.max_abs_activation,
        "float16_in": float16_uses(record),
    }
