"""Two live sides take turns of single steps: what one process pair tells about B against A.

Whatever slows the machine down, for a second or for an hour, meets two neighbouring steps alike, so it
cancels in their ratio. Which side goes first alternates from turn to turn, so that the roles are symmetric.
"""

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

from pydantic import BaseModel, ConfigDict

Figure = Literal["step", "evaluation", "start_up"]
"""What is compared: an optimizer step, an evaluation, and the time from nothing to the end of step 1."""

FIGURES: tuple[Figure, ...] = get_args(Figure)


class Turn(Protocol):
    """What one order took."""

    @property
    def steps_s(self) -> Sequence[float]:
        """Wall seconds of each step."""

    @property
    def evaluation_s(self) -> float | None:
        """Wall seconds of the evaluation, if one was ordered."""


class Side(Protocol):
    """A process that trains as it is ordered, and waits in between (`harness.dispatch.paced.Paced`)."""

    @property
    def start_s(self) -> float:
        """Seconds from its start to its first step."""

    def order(self, steps: int = 0, *, evaluate: bool = False, level: float = 0.0) -> Turn:
        """Have it train or evaluate, and wait until it has."""


class Schedule(BaseModel):
    """How much of everything one pair does.

    Attributes:
        warm_up: Steps of each side that do not count, the first of them for the start-up.
        steps: Measured steps of each side.
        evaluate_every: Measured steps from one evaluation of each side to the next.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    warm_up: int = 8
    steps: int = 60
    evaluate_every: int = 10


class Times(BaseModel):
    """One side's wall seconds, in the order of the turns."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    start_up: list[float] = []
    step: list[float] = []
    evaluation: list[float] = []


class Pair(BaseModel):
    """What two sides took, turn by turn: the i-th of one belongs to the i-th of the other."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    a: Times
    b: Times

    def log_ratio(self, figure: Figure) -> float | None:
        """Return the median over turns of log(B's time / A's time); above 0 B is slower.

        The ratio of the two medians would keep what differs between turns: batches of other lengths, a
        busy neighbour. None where the pair has no such turn.
        """
        turns = zip(getattr(self.a, figure), getattr(self.b, figure), strict=True)
        ratios = [math.log(b / a) for a, b in turns]
        return statistics.median(ratios) if ratios else None


@dataclass(frozen=True)
class PerSide:
    """One number of seconds for each side."""

    a: float = 0.0
    b: float = 0.0


def take_turns(
    a: Side, b: Side, schedule: Schedule, *, slowdown: float = 0.0, b_first: bool = False
) -> Pair:
    """Warm two sides up, measure, and return the pair.

    Args:
        a: One that has not trained yet.
        b: The other.
        schedule: How much of everything.
        slowdown: Share of its own step time that B's injected slowdown takes (0.05: 5 %); it needs a
            plugin of `fixtures/slowdowns`.
        b_first: Whether B takes the first step of all.
    """
    start_up, usual = warm_up(a, b, schedule.warm_up, b_first=b_first)
    times = measure(a, b, schedule, PerSide(b=slowdown * usual.b))
    return Pair(
        a=times.a.model_copy(update={"start_up": [start_up.a]}),
        b=times.b.model_copy(update={"start_up": [start_up.b]}),
    )


def warm_up(a: Side, b: Side, steps: int, *, b_first: bool = False) -> tuple[PerSide, PerSide]:
    """Train both until they are in their stride.

    Args:
        a: One that has not trained yet.
        b: The other.
        steps: Of each, at least 2.
        b_first: Whether B takes the first step of all.

    Returns:
        Each side's seconds from nothing to the end of its first step, and its median step after that.
    """
    numbers = range(int(b_first), steps + int(b_first))
    (first_a, first_b), *turns = [_step(number, a, b) for number in numbers]
    usual = [statistics.median(side) for side in zip(*turns, strict=True)]
    return PerSide(a.start_s + first_a, b.start_s + first_b), PerSide(*usual)


def measure(a: Side, b: Side, schedule: Schedule, levels: PerSide = PerSide()) -> Pair:
    """Take the turns of a schedule with two warm sides; the pair has no start-up.

    Args:
        a: One side.
        b: The other.
        schedule: How much of everything; nothing is warmed up.
        levels: Seconds that an injected slowdown takes off each step.
    """
    steps, evaluations = [], []
    for number in range(schedule.steps):
        steps.append(_step(number, a, b, levels))
        finished, rest = divmod(number + 1, schedule.evaluate_every)
        if not rest:
            evaluations.append(_evaluation(finished, a, b))
    sides = [
        Times(step=[turn[side] for turn in steps], evaluation=[turn[side] for turn in evaluations])
        for side in (0, 1)
    ]
    return Pair(a=sides[0], b=sides[1])


def _step(number: int, a: Side, b: Side, levels: PerSide = PerSide()) -> tuple[float, float]:
    return _in_turn(
        number,
        lambda: a.order(1, level=levels.a).steps_s[0],
        lambda: b.order(1, level=levels.b).steps_s[0],
    )


def _evaluation(number: int, a: Side, b: Side) -> tuple[float, float]:
    def evaluation_s(side: Side) -> float:
        seconds = side.order(evaluate=True).evaluation_s
        assert seconds is not None
        return seconds

    return _in_turn(number, lambda: evaluation_s(a), lambda: evaluation_s(b))


def _in_turn(number: int, a: Callable[[], float], b: Callable[[], float]) -> tuple[float, float]:
    """Return what both took, B having gone first in every odd turn."""
    if number % 2:
        second = b()
        return a(), second
    return a(), b()
