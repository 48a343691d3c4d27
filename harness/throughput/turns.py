"""Two live sides take turns of single steps: what one process pair tells about B against A.

Whatever slows the machine down, for a second or for an hour, meets two neighbouring steps alike, so it
cancels in their ratio. Which side goes first alternates from turn to turn, so that the roles are symmetric.
"""

import math
import statistics
from collections import deque
from collections.abc import Callable, Sequence
from typing import Literal, Protocol, get_args

from pydantic import BaseModel, ConfigDict

Figure = Literal["step", "evaluation", "start_up"]
"""What is compared: an optimizer step, an evaluation, and the time from nothing to the end of step 1."""

_FEWEST_TURNS = 4
_RECENT = 10
"""Steps that say how long a step takes now: an epoch of the fixtures, whose batches differ in length."""

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
    """A process that trains as it is ordered, and waits in between (`harness.processes.paced.Paced`)."""

    @property
    def start_s(self) -> float:
        """Seconds from its start to its first step."""

    def order(self, steps: int = 0, *, evaluate: bool = False, level: float = 0.0) -> Turn:
        """Have it train or evaluate, and wait until it has."""


class Schedule(BaseModel):
    """How much of everything one pair does.

    Attributes:
        warm_up: Steps of each side that do not count, the first of them for the start-up; then an evaluation.
        steps: Measured steps of each side.
        evaluate_every: Measured steps from one evaluation of each side to the next; odd, so that the sides
            alternate in having trained last before it.
        own_error: Standard error of a pair's log ratio, by its own turns, above which it was disturbed and
            takes `steps` more.
        rounds: Times `steps` at most.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    warm_up: int = 8
    steps: int = 60
    evaluate_every: int = 9
    own_error: float = 0.01
    rounds: int = 3


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
        """Return log(B's time / A's time) as this pair has it; None where it has no such turn."""
        a, b = getattr(self.a, figure), getattr(self.b, figure)
        return paired_log_ratio(a, b) if a else None


def paired_log_ratio(a: Sequence[float], b: Sequence[float]) -> float:
    """Return how much longer B took: the median over turns of log(B's time / A's time).

    The ratio of the two medians would keep what differs between turns: batches of other lengths, a busy
    neighbour. The turns that A began and those that B began have each a median, and the mean of the two
    counts: whoever goes first in a turn went last in the one before, and finds its data in the caches.

    Args:
        a: Wall seconds of A, turn by turn; at least one.
        b: Those of B.
    """
    ratios = [math.log(later / earlier) for earlier, later in zip(a, b, strict=True)]
    return statistics.fmean(statistics.median(half) for half in (ratios[::2], ratios[1::2]) if half)


def own_error(a: Sequence[float], b: Sequence[float]) -> float:
    """Return the standard error of `paired_log_ratio` by its own turns, NaN for fewer than four.

    Args:
        a: Wall seconds of A, turn by turn.
        b: Those of B.

    Source:
        R. McGill, J. W. Tukey, W. A. Larsen, "Variations of box plots", The American Statistician 32
        (1978): 1.25 / 1.35 times the interquartile range over the root of the number, for a median.
    """
    if len(a) < _FEWEST_TURNS:
        return math.nan
    ratios = [math.log(later / earlier) for earlier, later in zip(a, b, strict=True)]
    errors = [_error_of_median(half) for half in (ratios[::2], ratios[1::2])]
    return math.hypot(*errors) / 2


def _error_of_median(values: Sequence[float]) -> float:
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return 1.25 / 1.35 * (high - low) / math.sqrt(len(values))


def _is_wanting(steps: Sequence[tuple[float, float]], schedule: Schedule) -> bool:
    """Whether a pair with these turns needs another."""
    rounds, unfinished = divmod(len(steps), schedule.steps)
    if unfinished or not rounds:
        return True
    a, b = zip(*steps, strict=True)
    return rounds < schedule.rounds and own_error(a, b) > schedule.own_error


def take_turns(
    a: Side, b: Side, schedule: Schedule, *, slowdown: float = 0.0, b_first: bool = False
) -> Pair:
    """Warm two sides up, measure, and return the pair.

    Args:
        a: One that has not trained yet.
        b: The other.
        schedule: How much of everything.
        slowdown: Share of A's step time that B's injected slowdown takes (0.05: 5 %); it needs a plugin of
            `fixtures/slowdowns`.
        b_first: Whether B begins the first turn; over pairs it should alternate, so that what the first
            place costs cancels.
    """
    turns = Turns(a, b)
    start_up = turns.warm_up(schedule.warm_up, b_first=b_first)
    pair = turns.measure(schedule, slowdown_b=slowdown)
    return Pair(
        a=pair.a.model_copy(update={"start_up": [start_up[0]]}),
        b=pair.b.model_copy(update={"start_up": [start_up[1]]}),
    )


class Turns:
    """Two sides that take turns, for as many measurements as one likes."""

    def __init__(self, a: Side, b: Side) -> None:
        self._sides = (a, b)
        self._offset = 0
        self._recent: tuple[deque[float], deque[float]] = (
            deque(maxlen=_RECENT),
            deque(maxlen=_RECENT),
        )

    def warm_up(self, steps: int, *, b_first: bool = False) -> tuple[float, float]:
        """Train both until they are in their stride, and evaluate once.

        Args:
            steps: Of each side.
            b_first: Whether B begins the first turn of this and of every measurement.

        Returns:
            Each side's seconds from nothing to the end of its first step.
        """
        self._offset = int(b_first)
        first, *_ = [self._step(number, (0.0, 0.0)) for number in range(steps)]
        self._in_turn(steps, self._evaluation)
        return self._sides[0].start_s + first[0], self._sides[1].start_s + first[1]

    def measure(
        self, schedule: Schedule, *, slowdown_a: float = 0.0, slowdown_b: float = 0.0
    ) -> Pair:
        """Take the turns of a schedule with two warm sides; the pair has no start-up.

        A pair that was disturbed takes more turns. What decides on that is their spread, which is the same
        whichever side is slower, so that it favours neither.

        Args:
            schedule: How much of everything; nothing is warmed up.
            slowdown_a: Share of B's recent step time that A's injected slowdown takes.
            slowdown_b: The same of B.
        """
        steps: list[tuple[float, float]] = []
        evaluations = []
        while _is_wanting(steps, schedule):
            number = len(steps)
            # Of the other side's, which is not slowed down itself.
            levels = slowdown_a * self._usual(1), slowdown_b * self._usual(0)
            steps.append(self._step(number, levels))
            finished, rest = divmod(number + 1, schedule.evaluate_every)
            if not rest:
                evaluations.append(self._in_turn(finished, self._evaluation))
        a, b = (
            Times(step=[t[side] for t in steps], evaluation=[t[side] for t in evaluations])
            for side in (0, 1)
        )
        return Pair(a=a, b=b)

    def _step(self, number: int, levels: tuple[float, float]) -> tuple[float, float]:
        def step(side: int) -> float:
            seconds = self._sides[side].order(1, level=levels[side]).steps_s[0]
            self._recent[side].append(seconds)
            return seconds

        return self._in_turn(number, step)

    def _evaluation(self, side: int) -> float:
        seconds = self._sides[side].order(evaluate=True).evaluation_s
        assert seconds is not None
        return seconds

    def _usual(self, side: int) -> float:
        return statistics.median(self._recent[side]) if self._recent[side] else 0.0

    def _in_turn(self, number: int, act: Callable[[int], float]) -> tuple[float, float]:
        """Return what both took; who begins alternates with the turn's number."""
        if (number + self._offset) % 2:
            second = act(1)
            return act(0), second
        return act(0), act(1)
