"""Which run starts next, and where."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.dispatch.placement import Placement
from tests.unit.simulated import idle, need, place, simulate

CELLS = 1000


# The longest is shorter than the work of one slot of 64: no schedule is shorter than its longest run.
def pareto(rng: random.Random) -> float:
    return min(7.0 * rng.paretovariate(1.1), 200.0)


DURATIONS = {
    "equal": lambda rng: 7.0,
    "uniform": lambda rng: rng.uniform(5, 60),
    "lognormal": lambda rng: min(rng.lognormvariate(2.5, 1.0), 120.0),
    "pareto": pareto,
}


@pytest.mark.parametrize("slots", [2, 16, 64])
@pytest.mark.parametrize("kind", DURATIONS)
def test_1000_cells_leave_under_5_percent_idle(kind: str, slots: int) -> None:
    rng = random.Random(3407)
    durations = {i: DURATIONS[kind](rng) for i in range(CELLS)}
    # Half of them repeats, and an expectation that is a guess.
    guessed = {i: need(s * rng.lognormvariate(0, 0.2), repeat=i % 2) for i, s in durations.items()}
    outcome = simulate([place(slots)], guessed, durations)
    assert idle(outcome, durations, slots) < 0.05
    assert sorted(outcome.order) == list(range(CELLS))


def test_1000_cells_over_a_cluster_of_unequal_nodes() -> None:
    rng = random.Random(2032)
    nodes = [place(cores, f"node-{i}") for i, cores in enumerate([2, 4, 8, 16, 2])]
    durations = {i: pareto(rng) for i in range(CELLS)}
    outcome = simulate(nodes, {i: need(s) for i, s in durations.items()}, durations)
    assert idle(outcome, durations, 32) < 0.05
    assert set(outcome.where.values()) == {node.name for node in nodes}


@given(
    st.lists(st.floats(0.1, 1e4), min_size=1, max_size=60),
    st.integers(1, 8),
    st.data(),
)
def test_no_slot_is_idle_while_a_run_waits(
    seconds: list[float], slots: int, data: st.DataObject
) -> None:
    durations = dict(enumerate(seconds))
    repeats = data.draw(st.lists(st.integers(0, 2), min_size=len(seconds), max_size=len(seconds)))
    guessed = {i: need(data.draw(st.floats(0.1, 1e4)), repeat=repeats[i]) for i in durations}
    outcome = simulate([place(slots)], guessed, durations)
    # Graham's bound, which every schedule without an idle slot keeps, however wrong the guesses.
    bound = sum(seconds) / slots + max(seconds) * (1 - 1 / slots)
    assert outcome.makespan_s <= bound * (1 + 1e-9)
    assert outcome.most_at_once <= slots
    assert sorted(outcome.order) == sorted(durations)


def test_every_cell_runs_before_any_runs_again() -> None:
    needs = {0: need(9), 1: need(9, repeat=1), 2: need(1), 3: need(1, repeat=1), 4: need(20)}
    outcome = simulate([place(1)], needs, {i: n.expected_s for i, n in needs.items()})
    assert outcome.order == [4, 0, 2, 1, 3]


def test_a_repeat_goes_first_where_waiting_would_cost() -> None:
    needs = {0: need(1, repeat=1), 1: need(100, repeat=1), **{i: need(2) for i in range(2, 52)}}
    durations = {i: n.expected_s for i, n in needs.items()}
    outcome = simulate([place(2)], needs, durations)
    # 201 s of work on two slots: it must start at once, and then nothing is idle.
    assert 1 in outcome.order[:2]
    assert outcome.makespan_s == pytest.approx(101)


def test_a_gpu_takes_as_many_cells_as_it_is_told_and_the_emptier_one_first() -> None:
    needs = {i: need(10, gpu="NVIDIA H100") for i in range(5)}
    here = place(16, gpus=["NVIDIA H100", "NVIDIA H100"], per_gpu=2)
    placement = Placement([here], needs)
    starts = [placement.start() for _ in needs]
    assert [s.gpu for s in starts if s] == ["GPU-0", "GPU-1", "GPU-0", "GPU-1"]
    assert starts[0] is not None
    placement.end(starts[0].key)
    following = placement.start()
    assert following is not None
    assert following.gpu == "GPU-0"


def test_one_gpu_has_one_cell_and_cards_of_a_kind_share_the_work() -> None:
    h100 = {i: need(10, gpu="NVIDIA H100") for i in range(4)}
    needs = {**h100, 4: need(10, gpu="Tesla T4"), 5: need(10)}
    here = place(16, gpus=["NVIDIA H100", "NVIDIA H100", "Tesla T4"])
    placement = Placement([here], needs)
    starts = []
    while (start := placement.start()) is not None:
        starts.append(start)
    assert {(s.key, s.gpu) for s in starts} == {
        (0, "GPU-0"),
        (1, "GPU-1"),
        (4, "GPU-2"),
        (5, None),
    }
    placement.end(1)
    following = placement.start()
    assert following is not None
    assert (following.key, following.gpu) == (2, "GPU-1")


def test_memory_holds_runs_back_and_one_too_big_has_all() -> None:
    needs = {
        0: need(9, memory=6),
        1: need(8, memory=6),
        2: need(7, memory=4),
        3: need(1, memory=99),
    }
    placement = Placement([place(8, memory=10)], needs)
    starts = [placement.start(), placement.start()]
    assert [s.key for s in starts if s] == [0, 2]
    assert placement.start() is None
    placement.end(0)
    second = placement.start()
    assert second is not None
    assert second.key == 1
    placement.end(1)
    placement.end(2)
    last = placement.start()
    assert last is not None
    assert (last.key, last.memory_bytes) == (3, 10)


def test_cells_of_one_stack_wait_for_one_build_and_leave_the_slots_to_others() -> None:
    needs = {i: need(10, build="new") for i in range(4)} | {i: need(5) for i in range(4, 10)}
    durations = {i: n.expected_s for i, n in needs.items()}
    placement = Placement([place(4)], needs)
    first = [placement.start() for _ in range(4)]
    assert [s.key for s in first if s] == [0, 4, 5, 6]
    placement.built(0)
    placement.end(4)
    assert (start := placement.start()) is not None
    assert start.key == 1
    outcome = simulate([place(4)], needs, durations, build_s=12)
    assert outcome.makespan_s == 12 + 10


def test_what_can_run_nowhere_is_stranded() -> None:
    needs = {0: need(1, gpu="Tesla T4"), 1: need(1), 2: need(1)}
    placement = Placement([place(1, "a"), place(1, "b")], needs)
    assert placement.stranded() == [0]
    start = placement.start()
    assert start is not None
    placement.end(start.key)
    placement.wait_again(start.key, bar=start.place)
    assert placement.stranded() == []
    other = "b" if start.place == "a" else "a"
    placement.close(other)
    assert placement.stranded() == [start.key]
