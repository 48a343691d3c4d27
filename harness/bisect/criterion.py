"""What is asked of each release: a check by its name, the cell's outcome, or the good end's eval_loss."""

import math
import re
from dataclasses import dataclass, replace

from harness.bisect.search import Answer
from harness.cell_result import CellResult
from harness.checks import all_checks
from harness.conditions import TIMED
from harness.errors import SelectionError
from harness.loss_shift import shifts
from harness.record import Record
from harness.verdict import Outcome, Verdict

CELL = "cell"
"""Asks for the one outcome that stands for the cell."""
EVAL_LOSS = "eval_loss"
"""Asks whether the evaluation losses are the good end's; no check on one side sees that."""
_COMPLETED = "completed"

# Unsloth before it, transformers before it, and what is left of either message in a wrapped error.
_NO_GEMMA_3 = re.compile(
    r"gemma.?3 only works|no attribute '?Gemma3|model type `?gemma3", re.IGNORECASE
)


@dataclass(frozen=True)
class Reading:
    """What one run, or the runs that are judged together, say.

    Attributes:
        answer: To the question.
        reason: The figures behind it, or why there is no answer.
        is_certain: Whether another run would say the same: no clock and no interruption took part.
        is_broken: Whether the stack failed before it trained, so that other packages may help.
    """

    answer: Answer
    reason: str
    is_certain: bool = True
    is_broken: bool = False


@dataclass(frozen=True)
class Criterion:
    """A question that every release is asked.

    Attributes:
        check: Name of a check, `cell`, or `eval_loss`.
        good: The good end's record, for `eval_loss`; None while the good end itself is asked.
    """

    check: str
    good: Record | None = None

    def __post_init__(self) -> None:
        known = [CELL, EVAL_LOSS, *(check.name for check in all_checks())]
        if self.check not in known:
            raise SelectionError(f"no check {self.check!r}; there are {', '.join(known)}.")

    @property
    def records(self) -> int:
        """How many runs one reading takes."""
        return 2 if self.check == "determinism" else 1

    def against(self, good: Record) -> "Criterion":
        """Return the same question with the good end's losses to compare with."""
        return replace(self, good=good)

    def read(self, cell: CellResult) -> Reading:
        """Read a judged cell."""
        record = cell.record
        asks_for_end = self.check in (CELL, _COMPLETED)
        if record.status in ("TIMEOUT", "INFRA"):
            is_built = record.failure is None or record.failure.phase != "build"
            return Reading(Answer.SKIP, _ended(record), is_certain=not is_built)
        if record.status != "COMPLETED":
            broken = _broke_early(record)
            counts = asks_for_end and not _lacks_gemma_3(record)
            # An import that fails says nothing of the cell, unless that is what is asked for.
            if self.check == CELL and _phase(record) == "import":
                counts = False
            answer = Answer.BAD if counts else Answer.SKIP
            certain = not _phase_kind(record).startswith("SIG")
            return Reading(answer, _ended(record), certain, is_broken=broken and not counts)
        if self.check == EVAL_LOSS:
            return self._losses(record)
        verdicts = cell.verdicts
        if self.check != CELL:
            verdicts = [verdict for verdict in verdicts if verdict.check == self.check]
        return _of_verdicts(verdicts, cell.outcome if self.check == CELL else None)

    def _losses(self, record: Record) -> Reading:
        losses = [evaluation.eval_loss for evaluation in record.evaluations]
        shown = " ".join("none" if loss is None else f"{loss:.4f}" for loss in losses)
        if not losses or not all(loss is not None and math.isfinite(loss) for loss in losses):
            if self.good is None:
                return Reading(Answer.SKIP, f"eval_loss {shown or 'none'}: nothing to compare with")
            return Reading(Answer.BAD, f"eval_loss {shown or 'none'}")
        moved = [s for s in shifts(self.good, record) if s.is_regression] if self.good else []
        if moved:
            return Reading(Answer.BAD, "; ".join(shift.words for shift in moved))
        return Reading(Answer.GOOD, f"eval_loss {shown}")


def _of_verdicts(verdicts: list[Verdict], outcome: Outcome | None) -> Reading:
    red = [verdict for verdict in verdicts if verdict.outcome.is_red]
    if red:
        reason = "; ".join(f"{verdict.check}: {verdict.message}" for verdict in red)
        return Reading(Answer.BAD, reason, is_certain=any(v.check not in TIMED for v in red))
    if outcome is not None:
        answer = Answer.GOOD if outcome is Outcome.PASS else Answer.SKIP
        return Reading(answer, f"the cell's outcome is {outcome}")
    (verdict,) = verdicts
    timed = verdict.check in TIMED
    if verdict.outcome is Outcome.PASS:
        return Reading(Answer.GOOD, verdict.message, is_certain=not timed)
    reason = f"{verdict.outcome}: {verdict.message}"
    return Reading(Answer.SKIP, reason, is_certain=verdict.outcome is not Outcome.INFRA)


def _ended(record: Record) -> str:
    failure = record.failure
    what = f" in {failure.phase}: {failure.kind}: {failure.message}" if failure else ""
    return f"{record.status}{what}"


def _phase(record: Record) -> str:
    return record.failure.phase if record.failure else ""


def _phase_kind(record: Record) -> str:
    return record.failure.kind if record.failure else ""


def _broke_early(record: Record) -> bool:
    return _phase(record) in ("import", "load") and not record.steps


def _lacks_gemma_3(record: Record) -> bool:
    return record.failure is not None and bool(_NO_GEMMA_3.search(record.failure.message))
