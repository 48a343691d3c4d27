"""What one release, or one mixture of two, was found to be; and when enough runs say it."""

from collections.abc import Sequence

from pydantic import BaseModel

from harness.bisect.criterion import Reading
from harness.bisect.search import Answer


class Probe(BaseModel):
    """What one release, or one mixture, was found to be.

    Attributes:
        what: Version of Unsloth, or the packages that were moved.
        stack: Release that names its stack; empty where its packages have no solution.
        answer: To the question.
        reason: Figures behind it, or why there is none.
        seconds: Of the runs that it took, whenever they were made.
        ran: Runs made now.
        reused: Runs that were kept.
        departures: How the packages depart from the release's day, beyond what every stack here does.
    """

    what: str
    stack: str
    answer: Answer
    reason: str
    seconds: float = 0.0
    ran: int = 0
    reused: int = 0
    departures: tuple[str, ...] = ()

    def with_runs_of(self, other: "Probe") -> "Probe":
        """Return the same with another's runs counted in: they led here."""
        return self.model_copy(
            update={
                "seconds": self.seconds + other.seconds,
                "ran": self.ran + other.ran,
                "reused": self.reused + other.reused,
            }
        )


def settle(readings: Sequence[Reading], attempts: int) -> Reading | None:
    """Return what readings of one stack come to, None where another is needed.

    A certain reading stands alone. Of others two must agree, and more than half of all; without that the
    answer is ambiguous, and the release says nothing.

    Args:
        readings: In the order of the runs.
        attempts: How many there may be.
    """
    if not readings:
        return None
    last = readings[-1]
    if last.is_certain:
        return last
    answers = [reading.answer for reading in readings]
    votes = answers.count(last.answer)
    if (
        last.answer is not Answer.SKIP
        and (votes >= 2 or attempts == 1)
        and votes > len(answers) / 2
    ):
        return last
    if len(readings) < attempts:
        return None
    if set(answers) == {Answer.SKIP}:
        return last
    said = ", ".join(f"{answers.count(a)} {a}" for a in Answer if a in answers)
    return Reading(
        Answer.SKIP, f"ambiguous after {len(readings)} runs: {said}; last: {last.reason}"
    )
