"""What is asked of each release: checks by name, what the bad end fails, or the good end's eval_loss."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.bisect.search import Answer
from harness.cell_result import CellResult
from harness.checks import all_checks
from harness.conditions import TIMED
from harness.errors import SelectionError
from harness.loss_shift import shifts
from harness.record import Failure, Record
from harness.verdict import Outcome, Verdict

CELL = "cell"
"""Asks for the checks that are red at the bad end and not at the good one."""
EVAL_LOSS = "eval_loss"
"""Asks whether the evaluation losses are the good end's; no check on one side sees that."""
COMPLETED = "completed"

# Unsloth before it, transformers before it, and what is left of either message in a wrapped error.
_NO_GEMMA_3 = re.compile(
    r"gemma.?3 only works|no attribute '?Gemma3|model type `?gemma3", re.IGNORECASE
)


@dataclass(frozen=True)
class Reading:
    """What the runs that are judged together say.

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
    """A question that every release is asked: it is bad where one of the checks is red.

    Attributes:
        checks: Names of checks, `cell`, `eval_loss`.
        good: The good end's record, for `eval_loss`; None while the ends are asked.
        imports: Whether a stack that does not import is bad; else it says nothing.
        crash: Phase and kind of the one failure that is bad, any other says nothing; None: all are.

    Raises:
        SelectionError: There is no such check.
    """

    checks: tuple[str, ...]
    good: Record | None = None
    imports: bool = False
    crash: tuple[str, str] | None = None

    def __post_init__(self) -> None:
        known = [CELL, EVAL_LOSS, *(check.name for check in all_checks())]
        for name in self.checks:
            if name not in known:
                raise SelectionError(f"no check {name!r}; there are {', '.join(known)}.")

    @property
    def records(self) -> int:
        """How many runs one reading takes."""
        return 2 if "determinism" in self.checks else 1

    def between(self, good: CellResult, bad: CellResult) -> "Criterion":
        """Return the question that the two ends make of this one, for all releases and the ends again."""
        checks = dict.fromkeys(self.checks)
        if CELL in checks:
            red = [v.check for v in bad.verdicts if v.outcome.is_red]
            also = {v.check for v in good.verdicts if v.outcome.is_red}
            checks = dict.fromkeys(c for c in (*checks, *red) if c != CELL and c not in also)
        imports = COMPLETED in checks and _failure(bad.record).phase == "import"
        return replace(self, checks=tuple(checks), good=good.record, imports=imports)

    def like(self, bad: CellResult) -> "Criterion":
        """Return the same question for mixtures, which break in ways of their own: bad is what `bad` is."""
        return replace(self, crash=_crash(bad.record))

    def read(self, cell: CellResult) -> Reading:
        """Read a judged cell."""
        record = cell.record
        if record.status in ("TIMEOUT", "INFRA"):
            # An environment that cannot be built is not built at the next attempt either.
            again = _failure(record).phase != "build"
            return Reading(Answer.SKIP, _ended(record), is_certain=not again)
        if record.status != "COMPLETED":
            return self._crashed(record)
        readings = [self._losses(record)] if EVAL_LOSS in self.checks else []
        asked = [v for v in cell.verdicts if CELL in self.checks or v.check in self.checks]
        readings += [_of_verdict(verdict) for verdict in asked]
        return _together(readings)

    def _crashed(self, record: Record) -> Reading:
        failure = _failure(record)
        early = failure.phase in ("import", "load")
        counts = COMPLETED in self.checks or CELL in self.checks
        # No release before Gemma-3 is at fault for having none.
        counts &= not _NO_GEMMA_3.search(failure.message)
        counts &= self.imports or CELL in self.checks or failure.phase != "import"
        counts &= self.crash in (None, _crash(record))
        return Reading(
            Answer.BAD if counts else Answer.SKIP,
            _ended(record),
            # Something from outside killed it, perhaps.
            is_certain=not failure.kind.startswith("SIG"),
            is_broken=early and not counts,
        )

    def _losses(self, record: Record) -> Reading:
        losses = [evaluation.eval_loss for evaluation in record.evaluations]
        shown = " ".join("none" if loss is None else f"{loss:.4f}" for loss in losses) or "none"
        if not losses or not all(loss is not None and math.isfinite(loss) for loss in losses):
            return Reading(Answer.BAD, f"eval_loss {shown}")
        moved = [s for s in shifts(self.good, record) if s.is_regression] if self.good else []
        if moved:
            return Reading(Answer.BAD, "; ".join(shift.words for shift in moved))
        return Reading(Answer.GOOD, f"eval_loss {shown}")


def _together(readings: Sequence[Reading]) -> Reading:
    """Return one reading of one run: bad where one is, without an answer where none has one."""
    of = {a: [reading for reading in readings if reading.answer is a] for a in Answer}
    answer = next((a for a in (Answer.BAD, Answer.GOOD) if of[a]), Answer.SKIP)
    counted = of[answer]
    return Reading(
        answer,
        "; ".join(reading.reason for reading in counted) or "no check was asked",
        # One check without a clock is enough for bad; good are all of them.
        any(r.is_certain for r in counted)
        if answer is Answer.BAD
        else all(r.is_certain for r in counted),
    )


def _of_verdict(verdict: Verdict) -> Reading:
    outcome = verdict.outcome
    # A check that says INFRA was disturbed.
    certain = verdict.check not in TIMED and outcome is not Outcome.INFRA
    if outcome is Outcome.PASS or outcome.is_red:
        answer = Answer.BAD if outcome.is_red else Answer.GOOD
        return Reading(answer, f"{verdict.check}: {verdict.message}", certain)
    return Reading(Answer.SKIP, f"{verdict.check} {outcome}: {verdict.message}", certain)


def _failure(record: Record) -> Failure:
    return record.failure or Failure(phase="", kind="", message="")


def _crash(record: Record) -> tuple[str, str]:
    return _failure(record).phase, _failure(record).kind


def _ended(record: Record) -> str:
    failure = _failure(record)
    where = f" in {failure.phase}: {failure.kind}: {failure.message}" if record.failure else ""
    return " ".join(f"{record.status}{where}".split())
