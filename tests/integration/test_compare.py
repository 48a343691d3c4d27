"""Real process pairs: equal sides are equal, a slowed side is seen, and a side that fails is named."""

import io
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from rich.console import Console

from harness.errors import PacedRunError
from harness.experiment import Experiment, build_inputs
from harness.locations import FIXTURES
from harness.plan import Options, Plan
from harness.processes.paced import Paced
from harness.throughput.pairs import Contest, compare, shared_cores
from harness.throughput.sequential import Design
from harness.throughput.turns import Schedule, Turns

pytestmark = pytest.mark.trains

REFERENCE = "reference-2026.10.9/cpu/float32/mild"
CELLS = (
    REFERENCE,
    "unsloth-2026.10.9/cpu/float32/mild",
    "unsloth-2026.10.9/t4-emulated/auto/mild",
)
SLOWDOWNS = sorted((FIXTURES / "slowdowns").glob("*.py"))


def experiment(cell_id: str, fault: Path | None = None) -> Experiment:
    plan = Plan(Options())
    return plan.once(plan.matrix.cell(cell_id), fault=fault).experiment


@contextmanager
def pair(a: Experiment, b: Experiment) -> Iterator[tuple[Paced, Paced]]:
    cores = shared_cores(a)
    with (
        Paced(a, build_inputs(a, print), cores) as first,
        Paced(b, build_inputs(b, print), cores) as second,
    ):
        yield first, second


@pytest.mark.parametrize("cell_id", CELLS)
def test_steps_are_ordered_one_by_one_and_beyond_the_recipes_epochs(cell_id: str) -> None:
    with Paced(experiment(cell_id), build_inputs(experiment(cell_id), print)) as side:
        # Three epochs have 30 steps.
        turn = side.order(40)
        evaluated = side.order(evaluate=True)
        after = side.order(1)
    assert len(turn.steps_s) == 40
    assert all(seconds > 0 for seconds in turn.steps_s + after.steps_s)
    assert evaluated.steps_s == ()
    assert evaluated.evaluation_s is not None
    assert evaluated.evaluation_s > 0


@pytest.mark.parametrize("slowdown", SLOWDOWNS, ids=lambda path: path.stem)
def test_a_slowed_side_is_seen_beside_an_equal_one(slowdown: Path) -> None:
    schedule = Schedule(warm_up=6, steps=30, evaluate_every=29, rounds=1)
    with pair(experiment(REFERENCE), experiment(REFERENCE, slowdown)) as (a, b):
        turns = Turns(a, b)
        start_up = turns.warm_up(schedule.warm_up)
        equal = turns.measure(schedule)
        slowed = turns.measure(schedule, slowdown_b=0.5)

    assert min(start_up) > 1
    assert len(equal.a.evaluation) == len(equal.b.evaluation) == 1
    as_usual, slower = equal.log_ratio("step"), slowed.log_ratio("step")
    assert as_usual is not None
    assert slower is not None
    # Half a minute on a busy machine: far looser than what ten pairs tell.
    assert abs(as_usual) < math.log(1.2)
    assert slower > math.log(1.25)
    assert slower - as_usual > math.log(1.2)


def test_a_side_whose_stack_fails_is_named_with_the_reason() -> None:
    broken = experiment(REFERENCE, FIXTURES / "faults" / "broken_first_step.py")
    with (
        Paced(broken, build_inputs(broken, print)) as side,
        pytest.raises(PacedRunError, match=r"(?s)in phase train.*Traceback"),
    ):
        side.order(1)
    assert not psutil.Process().children()


def test_a_comparison_finds_a_slowed_side_and_keeps_its_pairs() -> None:
    contest = Contest(
        experiment(REFERENCE),
        experiment(REFERENCE, FIXTURES / "slowdowns" / "matmul.py"),
        slowdown=0.5,
        schedule=Schedule(warm_up=4, steps=10, evaluate_every=5),
        design=Design(max_pairs=4),
    )
    answer = compare(contest, Console())
    step = answer.decisions["step"]
    assert (answer.exit_code, step.outcome) == (1, "SLOWER")
    assert step.low < 1.5 < step.high
    assert [measured.b_first for measured in answer.series.pairs] == [False, True] * 2

    text = io.StringIO()
    again = compare(contest, Console(file=text))
    assert again.series == answer.series
    assert "reused" in text.getvalue()
