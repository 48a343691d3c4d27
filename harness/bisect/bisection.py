"""What a search came to: the release, the packages, every probe, and the sentence that says it."""

from pydantic import BaseModel

from harness.bisect.probe import Probe
from harness.bisect.search import Answer
from harness.errors import IncompleteError


class Question(BaseModel):
    """What is looked for.

    Attributes:
        good: Version of Unsloth that is as it should be.
        bad: Version that is not, before or after it.
        family: Of the stacks.
        cell: Hardware, dtype and recipe.
        checks: What tells good from bad: a release is bad where one of them is red.
        fault: Name of the fault plugin in every run.
    """

    good: str
    bad: str
    family: str
    cell: str
    checks: list[str]
    fault: str | None = None


class Packages(BaseModel):
    """Which packages between the two neighbours did it.

    Attributes:
        moves: What each group moves, by name: `trl 1.6.0 -> 1.7.0`.
        levelled: What differs between the releases, and not here.
        probes: Each mixture.
        sentence: What they come to.
        is_answered: Whether less than everything that differs was found to do it.
    """

    moves: dict[str, str]
    levelled: list[str] = []
    probes: list[Probe] = []
    sentence: str
    is_answered: bool


class Bisection(BaseModel):
    """One search, finished.

    Attributes:
        days: Day of upload by version, in order of upload; the ends are the first and the last.
        left_out: Releases between the ends that no `pip install` gave, and why.
        probes: Releases in the order in which they were asked, the ends first.
        before: Last release that is as the first end.
        after: First release beyond it that is as the other.
        skipped: Releases between the two, without an answer.
        cells: Cells that this call ran.
        environments: Environments that this call built.
        disk_bytes: By how much the free space of the cache's disk fell, whoever used it.
    """

    command: str
    started_at: str
    duration_s: float
    harness_version: str
    question: Question
    days: dict[str, str]
    left_out: list[str] = []
    probes: list[Probe]
    before: str
    after: str
    skipped: list[str] = []
    packages: Packages | None = None
    cells: int = 0
    environments: int = 0
    disk_bytes: int = 0

    @property
    def sentence(self) -> str:
        """Which release it was: `2026.1.4 is the first bad release ...`."""
        of = {probe.what: probe.answer for probe in self.probes}
        was, became = of[self.before].lower(), of[self.after].lower()
        if not self.skipped:
            return f"{self.after} is the first {became} release; {self.before} before it is {was}"
        return (
            f"one of {', '.join([*self.skipped, self.after])} is the first {became} release: {self.before} "
            f"is {was}, {self.after} is {became}, and between them there is no answer"
        )

    @property
    def exit_code(self) -> int:
        """0 one release was found, 19 it is one of several."""
        return IncompleteError.exit_code if self.skipped else 0

    @property
    def without_answer(self) -> list[Probe]:
        """Releases that were asked and gave none."""
        return [probe for probe in self.probes if probe.answer is Answer.SKIP]
