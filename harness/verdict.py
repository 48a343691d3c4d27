"""What can be said of a cell: the vocabulary every later stage speaks."""

from collections.abc import Iterable
from enum import StrEnum

from pydantic import ConfigDict

from harness.strict_json import PlainData, StrictModel


class Outcome(StrEnum):
    """The answer of one check on one cell, or of the run itself.

    Only FAIL, CRASHED and OOM turn a gate red. UNCALIBRATED, INCOMPARABLE and SKIPPED are typed
    non-answers of one check; TIMEOUT and INFRA mean the whole cell has no answer.
    """

    PASS = "PASS"
    FAIL = "FAIL"
    UNCALIBRATED = "UNCALIBRATED"
    INCOMPARABLE = "INCOMPARABLE"
    SKIPPED = "SKIPPED"
    CRASHED = "CRASHED"
    OOM = "OOM"
    TIMEOUT = "TIMEOUT"
    INFRA = "INFRA"

    @property
    def is_red(self) -> bool:
        """Whether this outcome blocks an upgrade."""
        return self in (Outcome.FAIL, Outcome.CRASHED, Outcome.OOM)

    @property
    def is_unanswered_run(self) -> bool:
        """Whether the cell as a whole could not be measured, so that green would be a lie."""
        return self in (Outcome.TIMEOUT, Outcome.INFRA)


class Verdict(StrictModel):
    """One check's answer on one cell."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    check: str
    cell_id: str
    outcome: Outcome
    message: str
    """One sentence with the numbers behind the answer."""
    diagnosis: tuple[str, ...] = ()
    """Causes that the evidence supports, most likely first; empty unless red."""
    advice: tuple[str, ...] = ()
    """What to change, most useful first."""
    evidence: PlainData = {}
    """The figures the answer rests on, by name, for the report."""


_DECISIVE_FIRST = (
    Outcome.CRASHED,
    Outcome.OOM,
    Outcome.FAIL,
    Outcome.INFRA,
    Outcome.TIMEOUT,
    Outcome.PASS,
    Outcome.INCOMPARABLE,
    Outcome.UNCALIBRATED,
    Outcome.SKIPPED,
)


def cell_outcome(verdicts: Iterable[Verdict]) -> Outcome:
    """Return the one outcome that stands for a cell.

    A red outcome wins, then an unanswered run. A cell passes when nothing is red and at least one
    check passed: non-answers of single checks do not hide a pass, and never make one.

    Returns:
        The outcome; SKIPPED when there is no verdict at all.
    """
    outcomes = {verdict.outcome for verdict in verdicts}
    return next((o for o in _DECISIVE_FIRST if o in outcomes), Outcome.SKIPPED)
