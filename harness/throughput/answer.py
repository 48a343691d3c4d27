"""What process pairs say of B's speed against A's: a decision for each figure, and one answer."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from pydantic import BaseModel, ConfigDict

from harness.errors import IncompleteError
from harness.throughput.sequential import Decision, Design, decide
from harness.throughput.turns import FIGURES, Figure, Pair

MARGINS: dict[Figure, float] = {"evaluation": 0.10, "start_up": 0.20}
"""Slowdowns to find where a pair has a few turns or one of them, and spreads more than the step's."""

NAMES: dict[Figure, str] = {
    "step": "training step",
    "evaluation": "evaluation",
    "start_up": "start-up",
}
"""How the figures read."""


class MeasuredPair(BaseModel):
    """One process pair, and the circumstances of its measurement."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pair: Pair
    b_first: bool
    """Whether B was started first and took the first step."""
    started_at: str
    seconds: float
    cores: list[int]
    """Logical cores that both processes shared; empty: any."""
    nice: int
    """Scheduling priority of both; -20 where the user may set it."""


class Series(BaseModel):
    """The pairs of one comparison, as they are kept."""

    model_config = ConfigDict(extra="forbid")

    a: str
    b: str
    fault: str | None
    slowdown: float
    device: str
    emulation: str
    """How to label the hardware; empty where it is native."""
    pairs: list[MeasuredPair] = []


@dataclass(frozen=True)
class Answer:
    """What the pairs say.

    Attributes:
        decisions: For each figure that was measured; that on the step decided when to stop.
        series: Where they come from; only the first `pairs` of a decision count.
    """

    series: Series
    decisions: dict[Figure, Decision]

    @property
    def slower(self) -> list[Figure]:
        """The figures on which B is slower."""
        return [figure for figure, said in self.decisions.items() if said.outcome == "SLOWER"]

    @property
    def exit_code(self) -> int:
        """1 where B is slower in any figure, 19 where the steps leave it open, else 0."""
        if self.slower:
            return 1
        undecided = self.decisions["step"].outcome == "UNDECIDED"
        return IncompleteError.exit_code if undecided else 0

    @property
    def sentence(self) -> str:
        """The answer in a sentence."""
        step = self.decisions["step"]
        if self.slower:
            told = [
                f"{NAMES[figure]} takes {self.decisions[figure].ratio:.3f} times as long"
                for figure in self.slower
            ]
            return f"B's {', and its '.join(told)}."
        if step.outcome == "UNDECIDED":
            return (
                f"{step.pairs} pairs do not tell; B's training step takes {step.low:.3f} to "
                f"{step.high:.3f} times as long. A quieter machine may tell."
            )
        return f"B's training step takes {step.ratio:.3f} times as long as A's."


def decide_all(pairs: Sequence[MeasuredPair], design: Design) -> dict[Figure, Decision]:
    """Decide on each figure that every pair has.

    Args:
        pairs: In the order measured.
        design: For the step; the other figures have `MARGINS` of their own, and do not ask for more pairs.
    """
    decisions: dict[Figure, Decision] = {}
    for figure in FIGURES:
        ratios = [measured.pair.log_ratio(figure) for measured in pairs]
        present = [ratio for ratio in ratios if ratio is not None]
        if present and len(present) == len(pairs):
            margin = MARGINS.get(figure, design.margin)
            decisions[figure] = decide(present, replace(design, margin=margin))
    return decisions
