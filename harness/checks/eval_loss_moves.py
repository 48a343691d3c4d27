"""The evaluation loss falls over the epochs.

Exists for U#2032 (Gemma-3 4B on a T4: the same eval_loss epoch after epoch, no error) and its
relatives U#2084, U#2040, Z#866, U#2153 and U#3089. Says which kind of standstill it is, and why.
"""

import math
from itertools import pairwise
from typing import Any

from harness.checks import Context, verdict
from harness.checks._diagnosis import diagnose
from harness.record import Evaluation, Record
from harness.verdict import Outcome, Verdict


def judge(record: Record, context: Context) -> Verdict:
    """PASS when eval_loss falls by the recipe's `min_eval_loss_drop` and no epoch leaves it still.

    The drop is relative: (before training - after the last epoch) / before training. A recipe with
    learning rate 0 asks for a standstill and is SKIPPED.
    """
    if record.recipe["learning_rate"] == 0:
        reason = "the recipe trains with learning rate 0: eval_loss has no reason to move"
        return verdict("eval_loss_moves", record, Outcome.SKIPPED, reason)
    losses = record.eval_losses
    wanted = float(record.recipe["min_eval_loss_drop"])
    problem = _problem(record, wanted)
    evidence: dict[str, Any] = {
        "eval_loss": losses,
        "relative_drop": relative_drop(losses),
        "min_eval_loss_drop": wanted,
    }
    if problem is None:
        return verdict(
            "eval_loss_moves",
            record,
            Outcome.PASS,
            f"eval_loss falls by {relative_drop(losses):.1%} over {len(losses) - 1} epochs: "
            f"{_series(losses)}",
            **evidence,
        )
    found = diagnose(record)
    return verdict(
        "eval_loss_moves",
        record,
        Outcome.FAIL,
        problem,
        diagnosis=found.causes,
        advice=found.advice,
        **{**found.evidence, **evidence},
    )


def relative_drop(losses: list[float]) -> float:
    """Return the share of the first loss that is gone at the last; NaN when there is no first."""
    if len(losses) < 2 or losses[0] == 0:
        return math.nan
    return (losses[0] - losses[-1]) / losses[0]


def _problem(record: Record, wanted: float) -> str | None:
    losses = record.eval_losses
    if len(losses) < 2:
        return f"eval_loss cannot be seen to move: {len(losses)} evaluation(s) took place"
    if not all(map(math.isfinite, losses)):
        first = record.evaluations[next(i for i, x in enumerate(losses) if not math.isfinite(x))]
        return f"eval_loss is no number from epoch {first.epoch:g} on: {_series(losses)}"
    if len(set(losses)) == 1:
        return f"frozen: eval_loss is {losses[0]!r} in all {len(losses)} evaluations, to the bit"
    if len(losses) > 2 and len(set(losses[1:])) == 1:
        return f"frozen after the first epoch: eval_loss stays {losses[1]!r} ({_series(losses)})"
    for before, after in pairwise(record.evaluations):
        if _stood_still(record, before, after):
            return (
                f"epoch {after.epoch:g} changed nothing: eval_loss and token_loss stay "
                f"{after.eval_loss!r} and {after.token_loss!r} ({_series(losses)})"
            )
    if losses[-1] > losses[0]:
        return f"eval_loss rises instead of falling: {_series(losses)}"
    if not relative_drop(losses) >= wanted:
        return (
            f"eval_loss moves, but too little: it falls by {relative_drop(losses):.2%} where the "
            f"recipe expects at least {100 * wanted:g} % ({_series(losses)})"
        )
    return None


def _stood_still(record: Record, before: Evaluation, after: Evaluation) -> bool:
    """Whether nothing changed between two evaluations although the learning rate was not 0.

    A loss that a release rounds to bfloat16 can repeat by chance; the float32 token loss cannot. A
    rate of 0 on a skipped step excuses nothing: the scheduler waits for the first step taken.
    """
    between = [s for s in record.steps if before.step < s.step <= after.step]
    if between and all(s.learning_rate == 0 and s.applied is not False for s in between):
        return False
    return (
        before.eval_loss == after.eval_loss
        and before.token_loss is not None
        and before.token_loss == after.token_loss
    )


def _series(losses: list[float]) -> str:
    return " ".join(f"{loss:.4f}" for loss in losses)
