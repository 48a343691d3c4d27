"""The eval_loss of one cell on two releases: what moved further than a release may move it.

No check on one side sees such a shift: it falls on both. Exists for Unsloth 2026.1.4, which evaluates
Gemma-3 over mixed-up rows (`reports/findings/padding-free-evaluation.md`): eval_loss 7.1158 ... 4.9196
on 2025.8.6, 7.0960 ... 5.3631 on 2026.1.4.

The limits are a policy, from one cell on eight releases (emulated T4, recipe mild, 2026-11-24).
Before training 7.1158 and after three epochs 4.9196 or 4.9197 on the six that load float16 and
evaluate the rows apart: a spread over releases within one dtype below 0.01 %, as on the emulated
A100 in bfloat16. The limits are at least ten times that; to be derived from repeats later.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from harness.record import Evaluation, Record

SAME_DTYPE = 0.001
"""Before training, weights of one dtype: ten times the spread over releases.

An untrained model has one loss on the same rows, whatever the release. The recipe hot spreads
further: 7.5300 and 7.5277 (0.03 %) on 2025.3.15 and 2026.10.9, emulated A100.
"""

OTHER_DTYPE = 0.01
"""Before training, weights of other dtypes: 2025.3.14 gave 7.1056 with NF4 against 7.1158 (0.14 %)."""

TRAINED = 0.01
"""After training: twice the 0.5 % by which bfloat16 against float32 may move a loss.

The recipe mild after three epochs: 4.9196 on the emulated T4, 4.9194 on the emulated A100, 4.9236 in
float32 on a CPU.
"""


class When(StrEnum):
    """Which evaluation of a run."""

    UNTRAINED = "eval_loss before any training"
    LAST = "the last eval_loss"


@dataclass(frozen=True)
class LossShift:
    """One evaluation loss on both sides that moved by more than its limit."""

    when: When
    old: float
    new: float
    limit: float
    """Largest |change| that is no shift, as a share of the old loss."""

    @property
    def change(self) -> float:
        """(new - old) / old, infinite when the old loss is 0."""
        return _change(self.old, self.new)

    @property
    def is_regression(self) -> bool:
        """Whether it makes an upgrade unsafe: all but a last loss that fell."""
        return self.when is When.UNTRAINED or self.new > self.old

    @property
    def words(self) -> str:
        """The shift with its figures: `the last eval_loss rose from 4.9196 to 5.3631 (...)`."""
        verb = "rose" if self.new > self.old else "fell"
        tail = ""
        if self.when is When.UNTRAINED:
            verb, tail = "moved", ": the evaluation itself changed"
        percent = 100 * self.change
        # Near a limit of 1 % one decimal would not show that it is passed.
        shown = f"{percent:+.{1 if abs(percent) >= 2 else 2}f} %, more than {100 * self.limit:g} %"
        return f"{self.when} {verb} from {self.old:.4f} to {self.new:.4f} ({shown}){tail}"


def shifts(old: Record, new: Record) -> tuple[LossShift, ...]:
    """Return what moved beyond its limit between two runs of one cell, the last loss first.

    Args:
        old: The run on the old release.
        new: The run on the new one: same recipe (its digest has data and seed), hardware and dtype
            request.

    Returns:
        Empty when nothing did. A loss that is missing or not finite is not compared: that is for
        the checks of one side to say.
    """
    dtype, other = (_most(record.precision.weights) for record in (old, new))
    untrained = SAME_DTYPE if dtype is not None and dtype == other else OTHER_DTYPE
    compared = (
        (When.LAST, _last(old), _last(new), TRAINED),
        (When.UNTRAINED, _untrained(old), _untrained(new), untrained),
    )
    return tuple(
        LossShift(when, before, after, limit)
        for when, before, after, limit in compared
        if before is not None and after is not None and abs(_change(before, after)) > limit
    )


def _untrained(record: Record) -> float | None:
    first = record.evaluations[0] if record.evaluations else None
    return _finite(first) if first and first.step == 0 else None


def _last(record: Record) -> float | None:
    last = record.evaluations[-1] if record.evaluations else None
    return _finite(last) if last and last.step > 0 else None


def _finite(evaluation: Evaluation) -> float | None:
    loss = evaluation.eval_loss
    return loss if loss is not None and math.isfinite(loss) else None


def _most(weights: Mapping[str, int]) -> str | None:
    return max(weights, key=lambda name: (weights[name], name), default=None)


def _change(old: float, new: float) -> float:
    if old == 0:
        return 0.0 if new == 0 else math.copysign(math.inf, new)
    return (new - old) / abs(old)
