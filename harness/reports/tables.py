"""The rows of the tables in one cell's section: name and text, straight from its record."""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

from harness.activation_memory import memory_slope
from harness.precision_facts import FLOAT16_MAX
from harness.record import Record
from harness.reports.axes import Point
from harness.reports.facts import largest_activation, not_finite
from harness.reports.wording import NOT_MEASURED, answer, count, dtypes, number, plain, size

Rows = list[tuple[str, str]]


def precision_rows(record: Record) -> Rows:
    """Return part and effective dtype, in the order in which data flows through the model."""
    seen = record.precision
    rows = [
        ("weights", dtypes(seen.weights)),
        ("LoRA", dtypes(seen.lora)),
        ("activations", dtypes(seen.activations)),
        ("logits", seen.logits or NOT_MEASURED),
        ("autocast", seen.autocast or NOT_MEASURED),
        ("args.bf16", answer(seen.args_bf16)),
        ("args.fp16", answer(seen.args_fp16)),
        ("FORCE_FLOAT32", seen.force_float32 or "not set"),
    ]
    if largest := largest_activation(record):
        layer, value = largest
        beyond = not math.isfinite(value) or value > FLOAT16_MAX
        place = f"beyond float16’s {FLOAT16_MAX:.0f}" if beyond else "within float16"  # noqa: RUF001
        rows.append(("max |activation|", f"{number(value)} in {layer}, {place}"))
    return rows


def training_rows(record: Record) -> Rows:
    """Return what tells a training that happened from one that was skipped."""
    rows: Rows = []
    if adapter := record.adapter:
        same = adapter.digest_before == adapter.digest_after
        rows += [
            ("adapter before", adapter.digest_before),
            ("adapter after", f"{adapter.digest_after} ({'unchanged' if same else 'changed'})"),
            ("lora_B moved", f"{adapter.lora_b_moved} of {adapter.lora_b_tensors} tensors"),
            ("adapter finite", answer(adapter.finite)),
            ("largest update", number(adapter.max_abs_update)),
            ("trainable", f"{adapter.trainable_parameters:,} parameters"),
        ]
    if scaler := record.scaler:
        scale = f"{number(scaler.scale_first)} → {number(scaler.scale_last)}"
        rows += [
            ("GradScaler", f"on, scale {scale}" if scaler.enabled else "off"),
            ("steps", f"{scaler.applied} applied, {scaler.skipped} skipped"),
        ]
    return rows


def memory_words(record: Record) -> str:
    """Say in a phrase how memory grows with steps and tokens; empty where neither was measured."""
    parts = []
    used = [s.memory_bytes for s in record.steps if s.memory_bytes is not None]
    if used:
        parts.append(
            f"{size(used[0])} in use after the first step, {size(used[-1])} after the last"
        )
    slope = memory_slope(record.probe.activation_memory if record.probe else None)
    if slope is not None:
        parts.append(
            f"a token keeps {slope.bytes_per_token / 2**10:,.1f} KiB for the backward pass"
        )
    if slope is not None and slope.peak_per_token is not None:
        parts.append(f"and raises the GPU’s peak by {slope.peak_per_token / 2**10:,.1f} KiB")  # noqa: RUF001
    return ", ".join(parts)


def recipe_rows(record: Record) -> dict[str, str]:
    """Return the recipe's fields and its digest."""
    return {
        **{name: plain(value) for name, value in record.recipe.items()},
        "digest": record.recipe_digest,
    }


def data_rows(record: Record) -> dict[str, str]:
    """Return counts and digests of the data."""
    return {name: plain(value) for name, value in record.data.items()}


def eval_points(record: Record) -> list[Point]:
    """Return epoch and eval_loss of every evaluation."""
    return [(e.epoch, e.eval_loss) for e in record.evaluations]


def step_points(record: Record, figure: Literal["loss", "grad_norm"]) -> list[Point]:
    """Return step and the figure of every step."""
    return [(float(s.step), getattr(s, figure)) for s in record.steps]


def skipped_steps(record: Record, limit: int = 120) -> list[float]:
    """Return the steps that did not change the parameters, spread evenly if there are many."""
    skipped = [float(s.step) for s in record.steps if s.applied is False]
    stride = math.ceil(len(skipped) / limit) or 1
    return skipped[::stride]


def layer_points(record: Record) -> list[Point]:
    """Return the position and the largest |activation| of every decoder layer, in model order."""
    values = record.precision.max_abs_activation.values()
    return [(float(place), value) for place, value in enumerate(values)]


def step_remarks(record: Record) -> list[str]:
    """Return in words what a curve of the steps or evaluations shows and an eye may miss."""
    remarks = []
    total = count(len(record.steps), "step")
    for name, values in (
        ("train loss", [s.loss for s in record.steps]),
        ("grad_norm", [s.grad_norm for s in record.steps]),
    ):
        if odd := not_finite(values):
            remarks.append(f"{name} not finite in {odd} of {total} (crosses on the top edge).")
    if zeros := sum(s.loss == 0 for s in record.steps):
        remarks.append(
            f"train loss is exactly 0 in {zeros} of {total}: the Trainer logs NaN as 0 unless "
            "logging_nan_inf_filter is off."
        )
    if skipped := sum(s.applied is False for s in record.steps):
        remarks.append(f"{skipped} of {total} left the parameters unchanged (ticks, lower edge).")
    if _frozen(record.eval_losses):
        losses = record.eval_losses
        remarks.append(f"eval_loss is the same in all {len(losses)} evaluations.")
    return remarks


def _frozen(losses: Sequence[float]) -> bool:
    return len(losses) > 1 and all(a == b for a, b in pairwise(losses))
