"""The training arguments in effect are those that were asked for, and give the recipe's steps.

Exists for U#8261 (a release moves a default, or overrides what was set).
"""

import math
from collections.abc import Iterator
from typing import Any

from harness.checks import Context, verdict
from harness.record import Record
from harness.verdict import Outcome, Verdict

NAME = "effective_arguments"

_ALIKE: tuple[tuple[Any, ...], ...] = (
    ("none", [], ["none"]),
    # One algorithm in two kernels; without a GPU Unsloth takes the fused one.
    ("adamw_torch", "adamw_torch_fused"),
)
"""Values that stand for the same."""

_SEEN_ELSEWHERE = (
    # Unsloth's padding-free batches clear it once the rows are cut: `training_data` looks at the rows.
    "max_length",
    "max_seq_length",
    # Unsloth turns fp16 off for Gemma-3: `precision` has the policy, and looks at what was computed.
    "bf16",
    "fp16",
)
"""Arguments that another check judges by their effect."""


def judge(record: Record, context: Context) -> Verdict:
    """PASS when every requested argument has its value and the number of steps follows from them."""
    executed = record.executed
    if executed is None or not executed.requested:
        reason = "the record has no requested arguments; run the cell again"
        return verdict(NAME, record, Outcome.SKIPPED, reason)
    moved = [
        (name, value, executed.arguments.get(name))
        for name, value in executed.requested.items()
        if name in executed.arguments
        and name not in _SEEN_ELSEWHERE
        and not _same(value, executed.arguments[name])
    ]
    absent = sorted(set(executed.requested) - set(executed.arguments))
    problems = [
        *(f"{name} is {now!r}, {asked!r} was asked for" for name, asked, now in moved),
        *(f"{name} was asked for and is not there" for name in absent),
        *_step_problems(record),
    ]
    evidence: dict[str, Any] = {"steps": len(record.steps), "moved": [name for name, *_ in moved]}
    if problems:
        return verdict(
            NAME,
            record,
            Outcome.FAIL,
            "; ".join(problems),
            diagnosis=tuple(_causes(moved, absent)),
            advice=("set the argument after the trainer is built, or report it to the release",),
            **evidence,
        )
    return verdict(
        NAME,
        record,
        Outcome.PASS,
        f"all {len(executed.requested)} requested arguments are in effect; "
        f"{len(record.steps)} optimizer steps as they give",
        **evidence,
    )


def _same(asked: Any, now: Any) -> bool:
    return asked == now or any(asked in alike and now in alike for alike in _ALIKE)


def _step_problems(record: Record) -> Iterator[str]:
    rows = record.rows.get("train")
    if rows is None or not record.steps:
        return
    recipe, taken = record.recipe, max(step.step for step in record.steps)
    wanted = {
        _steps(count, recipe["batch_size"], recipe["gradient_accumulation"], rounding)
        * recipe["epochs"]
        for count in (rows.texts, rows.texts - rows.unsupervised_texts)
        # Up to 4.51 transformers leaves out a last step that is not whole.
        for rounding in (math.ceil, math.floor)
    }
    if taken not in wanted:
        yield f"{taken} optimizer steps were taken, the recipe gives {max(wanted)}"


def _steps(rows: int, batch: int, accumulation: int, rounding: Any) -> int:
    return max(1, int(rounding(math.ceil(rows / batch) / accumulation)))


def _causes(moved: list[tuple[str, Any, Any]], absent: list[str]) -> Iterator[str]:
    names = [name for name, *_ in moved]
    if names or absent:
        yield f"the release overrides what was set: {', '.join([*names, *absent])} (U#8261)"
    else:
        yield "the trainer takes another number of steps than its arguments say (U#8261)"
