"""The loss is not too good to be true, and no token of a row is seen before its turn.

Exists for U#2933 and U#2957: a training loss below 0.001 within eight steps, because the labels
leaked into the input. A loss of exactly 0 is another fault (see `training_applied`).
"""

import math
from collections.abc import Iterator
from typing import Any

from harness.checks import Context, verdict
from harness.comparison import Comparison, compare, largest, uncalibrated
from harness.record import Record
from harness.verdict import Outcome, Verdict

NAME = "label_leak"
QUANTITY = "logits before a changed token"

FLOOR = 1e-3
"""Cross-entropy per token, nats: the figure of U#2933, a probability of 0.999 for every token."""

EARLY_STEPS = 8


def judge(record: Record, context: Context) -> Verdict:
    """PASS when no early loss is below 0.001 and changing a row's end moves no logit before it.

    Early losses are those of the first eight steps, and eval_loss before training. The last quarter
    of a row is changed in train mode and in eval mode.
    """
    known, moved = list(_early(record)), list(_moved(record))
    leaks = [(name, loss) for name, loss in known if loss < FLOOR]
    seen = [one for one in moved if one.fails]
    if leaks or seen:
        return _leak(record, known, leaks, seen)
    if unknown := uncalibrated(record, moved):
        return verdict(NAME, record, Outcome.UNCALIBRATED, unknown, floor=FLOOR)
    if not known:
        reason = "no early training loss and no eval_loss before training is above 0"
        return verdict(NAME, record, Outcome.SKIPPED, reason)
    lowest = min(loss for _, loss in known)
    evidence: dict[str, Any] = {one.name: one.deviation for one in moved}
    later = (
        f"a changed end moves earlier logits by {largest(moved):.2g}"
        if moved
        else "whether later tokens are seen was not measured"
    )
    return verdict(
        NAME,
        record,
        Outcome.PASS,
        f"the lowest loss of the first {EARLY_STEPS} steps is {lowest:.4g}; {later}",
        lowest_loss=lowest,
        floor=FLOOR,
        **evidence,
    )


def _early(record: Record) -> Iterator[tuple[str, float]]:
    early = [
        (f"training loss of step {s.step}", s.loss if s.raw_loss is None else s.raw_loss)
        for s in record.steps[:EARLY_STEPS]
    ]
    early += [("eval_loss before training", e.eval_loss) for e in record.evaluations if e.step == 0]
    # Zero and NaN are no losses; that they are there is for other checks to report.
    yield from ((name, loss) for name, loss in early if loss is not None and loss > 0)


def _moved(record: Record) -> Iterator[Comparison]:
    figures = record.probe.moved_by_later if record.probe else {}
    for mode, moved in figures.items():
        # Logits that are no numbers show nothing.
        if moved is not None and math.isfinite(moved):
            yield compare(record, NAME, QUANTITY, moved, f"earlier logits in {mode}")


def _leak(
    record: Record,
    known: list[tuple[str, float]],
    leaks: list[tuple[str, float]],
    seen: list[Comparison],
) -> Verdict:
    problems, causes = [], []
    for name, loss in leaks[:1]:
        problems.append(
            f"{name} is {loss:.2g}, below {FLOOR:g} within {EARLY_STEPS} steps: too good to be learned"
        )
        causes.append("the labels reach the model: a shift is missing, or the mask is not causal")
    problems += [
        f"{one.name} move by {one.deviation:.2g} of the largest when later tokens are changed"
        for one in seen
    ]
    if seen:
        causes.insert(0, "the attention mask is not causal: a token sees those after it")
    return verdict(
        NAME,
        record,
        Outcome.FAIL,
        "; ".join(problems),
        diagnosis=tuple(causes),
        advice=("compare the loss of step 1 with that of the reference stack on the same rows",),
        early_losses=dict(known),
        floor=FLOOR,
        **{one.name: one.deviation for one in seen},
    )
