"""Two sides taking turns, with sides whose times are known."""

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.throughput.turns import FIGURES, Pair, Schedule, Times, Turns, take_turns


@dataclass(frozen=True)
class Took:
    steps_s: tuple[float, ...]
    evaluation_s: float | None


@dataclass
class Clock:
    """What both sides share: how slow the machine is, and who was asked for what."""

    slow: Callable[[int], float] = lambda turn: 1.0
    asked: list[str] = field(default_factory=list)


@dataclass
class Side:
    name: str
    clock: Clock
    step_s: float = 0.1
    start_s: float = 5.0
    steps: int = 0

    def order(self, steps: int = 0, *, evaluate: bool = False, level: float = 0.0) -> Took:
        self.clock.asked.append(f"{self.name} evaluates" if evaluate else self.name)
        slow = self.clock.slow(len(self.clock.asked))
        if evaluate:
            return Took((), 2 * self.step_s * slow)
        first = 1.0 if not self.steps else 0.0
        self.steps += steps
        return Took((first + self.step_s * slow + level,) * steps, None)


def test_sides_alternate_single_steps_and_who_goes_first() -> None:
    clock = Clock()
    Turns(Side("A", clock), Side("B", clock)).measure(Schedule(steps=4, evaluate_every=2))
    assert clock.asked == [
        *"ABBA",
        *("B evaluates", "A evaluates"),
        *"ABBA",
        *("A evaluates", "B evaluates"),
    ]


def test_roles_are_symmetric() -> None:
    clock = Clock()
    schedule = Schedule()
    Turns(Side("A", clock), Side("B", clock)).measure(schedule)
    turns = list(zip(clock.asked[::2], clock.asked[1::2], strict=True))
    assert turns.count(("A", "B")) == turns.count(("B", "A")) == schedule.steps // 2
    evaluations = turns.count(("A evaluates", "B evaluates"))
    assert evaluations == turns.count(("B evaluates", "A evaluates")) == 3


def test_sides_alternate_in_training_last_before_an_evaluation() -> None:
    clock = Clock()
    Turns(Side("A", clock), Side("B", clock)).measure(Schedule())
    asked = [clock.asked[place : place + 3] for place in range(len(clock.asked))]
    before = [last for last, *after in asked if len(last) == 1 and "evaluates" in str(after[:1])]
    assert before == [*"BABABA"]


def test_warm_up_is_not_measured_but_its_first_step_belongs_to_the_start_up() -> None:
    clock = Clock()
    pair = take_turns(Side("A", clock), Side("B", clock, start_s=7.0), Schedule(warm_up=3, steps=6))
    assert pair.a.start_up == [pytest.approx(5.0 + 1.1)]
    assert pair.b.start_up == [pytest.approx(7.0 + 1.1)]
    assert pair.a.step == [pytest.approx(0.1)] * 6
    assert clock.asked.count("A") == 3 + 6
    # One evaluation warms up, too; six steps are too few for another.
    assert clock.asked.count("A evaluates") == 1
    assert pair.a.evaluation == []


def test_b_first_exchanges_the_roles_everywhere() -> None:
    first, second = Clock(), Clock()
    for clock, b_first in ((first, False), (second, True)):
        turns = Turns(Side("A", clock), Side("B", clock))
        turns.warm_up(3, b_first=b_first)
        turns.measure(Schedule(steps=3, evaluate_every=3))
    exchanged = str.maketrans("AB", "BA")
    assert second.asked == [asked.translate(exchanged) for asked in first.asked]
    assert first.asked[:4] == [*"ABBA"]


def test_what_the_first_place_in_a_turn_costs_cancels() -> None:
    # Even orders come second in their turn, and take longer for it.
    clock = Clock(slow=lambda order: 1.0 if order % 2 else 1.05)
    pair = Turns(Side("A", clock), Side("B", clock)).measure(Schedule(evaluate_every=100))
    assert pair.log_ratio("step") == pytest.approx(0.0, abs=1e-3)


def test_slowdown_is_a_share_of_the_other_sides_step() -> None:
    clock = Clock()
    pair = take_turns(Side("A", clock), Side("B", clock, step_s=0.2), Schedule(), slowdown=0.5)
    assert pair.log_ratio("step") == pytest.approx(math.log((0.2 + 0.5 * 0.1) / 0.1))
    assert pair.log_ratio("evaluation") == pytest.approx(math.log(2))


def test_slowdown_follows_a_machine_that_becomes_slow() -> None:
    clock = Clock(slow=lambda order: 3.0 if order > 40 else 1.0)
    pair = take_turns(Side("A", clock), Side("B", clock), Schedule(), slowdown=0.1)
    assert pair.b.step[-1] == pytest.approx(0.3 * 1.1)


def test_either_side_can_be_slowed_and_not_slowed_again() -> None:
    clock, schedule = Clock(), Schedule(steps=10)
    turns = Turns(Side("A", clock), Side("B", clock))
    turns.warm_up(12)
    ratios = [
        turns.measure(schedule, slowdown_a=0.25),
        turns.measure(schedule),
        turns.measure(schedule, slowdown_b=0.25),
    ]
    measured = [pair.log_ratio("step") for pair in ratios]
    # The slowed side's own steps are never the measure of a slowdown.
    assert measured == [pytest.approx(x) for x in (-math.log(1.25), 0.0, math.log(1.25))]


def test_a_figure_that_was_not_measured_is_none() -> None:
    clock = Clock()
    pair = Turns(Side("A", clock), Side("B", clock)).measure(Schedule(steps=2))
    assert [pair.log_ratio(figure) for figure in FIGURES] == [pytest.approx(0.0), None, None]


@given(
    ratio=st.floats(0.5, 2.0),
    drift=st.lists(st.floats(0.5, 20.0), min_size=60, max_size=60),
)
def test_what_slows_a_whole_turn_down_cancels(ratio: float, drift: list[float]) -> None:
    # One order of each side a turn: both orders of a turn meet the same machine.
    clock = Clock(slow=lambda order: drift[(order - 1) // 2])
    turns = Turns(Side("A", clock), Side("B", clock, step_s=0.1 * ratio))
    pair = turns.measure(Schedule(steps=60, evaluate_every=100))
    assert pair.log_ratio("step") == pytest.approx(math.log(ratio))


@given(
    times=st.lists(st.tuples(st.floats(0.01, 10.0), st.floats(0.01, 10.0)), min_size=1, max_size=30)
)
def test_exchanging_the_sides_changes_the_sign(times: list[tuple[float, float]]) -> None:
    a, b = (Times(step=[turn[side] for turn in times]) for side in (0, 1))
    forth, back = Pair(a=a, b=b).log_ratio("step"), Pair(a=b, b=a).log_ratio("step")
    assert forth is not None
    assert back is not None
    assert forth == pytest.approx(-back)


def test_a_hiccup_in_a_few_steps_does_not_count() -> None:
    clock = Clock(slow=lambda order: 10.0 if order % 11 == 0 else 1.0)
    pair = Turns(Side("A", clock), Side("B", clock, step_s=0.11)).measure(Schedule())
    assert pair.log_ratio("step") == pytest.approx(math.log(1.1))


def disturbed(turns: int) -> Callable[[int], float]:
    """A machine that is up to twice as slow, at random, during so many orders."""
    chance = random.Random(1)
    return lambda order: 1 + chance.random() if order <= turns else 1.0


@pytest.mark.parametrize(("orders", "steps"), [(0, 20), (24, 40), (40, 60), (1_000, 60)])
def test_a_disturbed_pair_takes_more_turns(orders: int, steps: int) -> None:
    clock = Clock(disturbed(orders))
    schedule = Schedule(steps=20, evaluate_every=1_000)
    pair = Turns(Side("A", clock), Side("B", clock, step_s=0.105)).measure(schedule)
    assert len(pair.a.step) == len(pair.b.step) == steps
    if orders < 1_000:
        assert pair.log_ratio("step") == pytest.approx(math.log(1.05), abs=0.02)
