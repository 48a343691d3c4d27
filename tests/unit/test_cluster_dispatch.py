"""What a cluster's dispatcher makes of nodes that fail, refuse and die."""

import io
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest
from rich.console import Console

from harness.cpu_info import Cpu
from harness.dispatch.cluster import node_run
from harness.dispatch.cluster.dispatch import ClusterDispatcher
from harness.dispatch.cluster.nodes import Answer, Node, Recorded, machine_of
from harness.dispatch.cluster.order import Order
from harness.dispatch.cluster.ray_cluster import RayCluster
from harness.dispatch.cluster.ray_resources import accelerators, node_of
from harness.dispatch.dispatcher import Result, Run
from harness.errors import HardwareError, MissingExtraError, SelectionError
from harness.experiment import Extra, prepare
from harness.hardware import Machine
from harness.locations import FIXTURES
from harness.matrix import load_matrix
from harness.plan import Options, Plan
from harness.progress import Progress
from harness.stacks import kept_locks
from harness.stacks.kept_locks import KeptLock
from harness.store import RecordStore
from tests.unit.fake_cluster import (
    CPU,
    FakeCluster,
    completes,
    gpu,
    lost,
    node,
    recorded,
    refuses,
)

MATRIX = load_matrix()


def cells(count: int, hardware: str = "cpu") -> list[str]:
    return [f"reference-2026.10.9/{hardware}/float32/ragged+seed={i}" for i in range(count)]


def runs_on(cluster: FakeCluster, *ids: str, repeats: int = 1) -> list[Run]:
    machine = machine_of(cluster)
    prepared = [prepare(MATRIX.cell(cell), MATRIX, machine) for cell in ids]
    return [Run(experiment, repeat) for repeat in range(repeats) for experiment in prepared]


class Session:
    def __init__(self, folder: Path) -> None:
        self.store, self.out = RecordStore(folder), io.StringIO()

    def dispatcher(self, cluster: FakeCluster, *, fresh: bool = False) -> ClusterDispatcher:
        progress = Progress(Console(file=self.out, width=500), 0)
        return ClusterDispatcher(cluster, self.store, machine_of(cluster), progress, fresh=fresh)

    def run(self, cluster: FakeCluster, *ids: str, fresh: bool = False) -> list[Result]:
        return list(self.dispatcher(cluster, fresh=fresh).run(runs_on(cluster, *ids)))


@pytest.fixture
def session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    monkeypatch.setattr("harness.dispatch.cluster.dispatch._LOOK_S", 0.0)
    return Session(tmp_path)


def statuses(results: list[Result]) -> list[str]:
    return [result.record.status for result in results]


def message(result: Result) -> str:
    assert result.record.failure is not None
    return result.record.failure.message


def test_every_run_has_its_record_in_the_drivers_store(session: Session) -> None:
    cluster = FakeCluster([node("1", 2), node("2")])
    results = session.run(cluster, *cells(7))
    assert statuses(results) == ["COMPLETED"] * 7
    assert {where for _, where in cluster.started} == {"1", "2"}
    for run in runs_on(cluster, *cells(7)):
        assert session.store.finished(run.experiment, 0) is not None


def test_a_finished_run_is_never_run_again_unless_asked(session: Session) -> None:
    session.run(FakeCluster([node("1")]), *cells(2))
    again = FakeCluster([node("1")])
    assert [r.reused for r in session.run(again, *cells(3))] == [True, True, False]
    assert [cell for cell, _ in again.started] == cells(3)[2:]
    assert [r.reused for r in session.run(again, *cells(3), fresh=True)] == [False] * 3


def test_a_lost_nodes_cells_go_elsewhere(session: Session) -> None:
    cluster = FakeCluster([node("1"), node("2")], {"1": lost})
    results = session.run(cluster, *cells(5))
    assert statuses(results) == ["COMPLETED"] * 5
    assert [where for _, where in cluster.started].count("1") == 1
    assert "10.0.0.1 is gone" in session.out.getvalue()


def test_a_run_is_tried_on_three_nodes_and_then_has_no_answer(session: Session) -> None:
    nodes = [node(name) for name in "1234"]
    cluster = FakeCluster(nodes, dict.fromkeys("1234", refuses))
    (result,) = session.run(cluster, *cells(1))
    assert result.record.status == "INFRA"
    assert len({where for _, where in cluster.started}) == len(cluster.started) == 3
    assert message(result).count("disk full") == 3
    assert session.store.finished(result.run.experiment, 0) is None


@pytest.mark.parametrize("status", ["CRASHED", "OOM", "TIMEOUT"])
def test_what_the_payload_did_is_a_result(session: Session, status: str) -> None:
    cluster = FakeCluster(
        [node("1"), node("2")], {name: lambda k, o, n: recorded(k, o, status) for name in "12"}
    )
    assert statuses(session.run(cluster, *cells(2))) == [status] * 2
    assert len(cluster.started) == 2


def test_a_node_that_keeps_failing_is_avoided(session: Session) -> None:
    cluster = FakeCluster([node("1"), node("2")], {"1": refuses})
    results = session.run(cluster, *cells(20))
    assert statuses(results) == ["COMPLETED"] * 20
    assert [where for _, where in cluster.started].count("1") == 3
    assert "10.0.0.1 failed 3 runs in a row" in session.out.getvalue()


def test_where_all_nodes_keep_failing_the_cells_have_no_answer_and_its_reason(
    session: Session,
) -> None:
    cluster = FakeCluster([node("1")], {"1": refuses})
    results = session.run(cluster, *cells(9))
    assert statuses(results) == ["INFRA"] * 9
    assert len(cluster.started) == 3
    assert "10.0.0.1 failed 3 runs in a row: StorageError: disk full" in message(results[-1])
    assert "no node is left" in message(results[-1])


def test_failures_between_successes_do_not_add_up(session: Session) -> None:
    at_odds: Iterator[Callable[..., Answer]] = iter([refuses, completes] * 20)

    def moody(key: int, order: Order, at: Node) -> Answer:
        return next(at_odds)(key, order, at)

    cluster = FakeCluster([node("1"), node("2")], {"1": moody})
    session.run(cluster, *cells(20))
    assert [where for _, where in cluster.started].count("1") > 5
    assert "in a row" not in session.out.getvalue()


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (lambda k, o, n: Recorded(k, '{"cell_id": "x"}'), "its answer is no record"),
        (lambda k, o, n: Recorded(k, "cos\nsystem\n(S'true'\ntR."), "its answer is no record"),
        (
            lambda k, o, n: recorded(k, o.model_copy(update={"key": "another"})),
            "the record of another run",
        ),
        (lambda k, o, n: recorded(k, o, repeat=3), "the record of another run"),
    ],
)
def test_an_answer_is_believed_only_if_it_is_the_runs_record(
    session: Session, answer: Callable[..., Answer], says: str
) -> None:
    cluster = FakeCluster([node("1"), node("2")], {"1": answer})
    results = session.run(cluster, *cells(2))
    assert statuses(results) == ["COMPLETED"] * 2
    assert says in session.out.getvalue()


def test_a_node_that_joins_gets_work(session: Session) -> None:
    cluster = FakeCluster([node("1")])

    def joined(key: int, order: Order, at: Node) -> Answer:
        cluster.alive = [node("1"), node("2")]
        return recorded(key, order)

    cluster.behaviour["1"] = joined
    session.run(cluster, *cells(6))
    assert {where for _, where in cluster.started} == {"1", "2"}


def test_a_gpu_cell_goes_to_the_node_with_that_gpu(session: Session) -> None:
    cluster = FakeCluster([node("1", 8), node("2", 2, [gpu("t4")]), node("3", 2, [gpu("h100")])])
    ids = [*cells(2, "t4"), *cells(2, "h100"), *cells(1, "t4-over-h100")]
    results = session.run(cluster, *ids)
    assert statuses(results) == ["COMPLETED"] * 5
    where = dict(cluster.started)
    assert {where[cell] for cell in cells(2, "t4")} == {"2"}
    assert {where[cell] for cell in [*cells(2, "h100"), *cells(1, "t4-over-h100")]} == {"3"}
    assert sorted(map(str, cluster.gpus)) == ["h100", "h100", "h100", "t4", "t4"]


def test_a_card_that_no_node_has_is_said_at_once() -> None:
    cluster = FakeCluster([node("1"), node("2", gpus=[gpu("h100")])])
    with pytest.raises(HardwareError, match=r"this cluster of 2 nodes: t4 .*present: cpu, h100"):
        runs_on(cluster, *cells(1, "t4"))


def test_cpu_cells_compute_on_one_kind_of_cpu(session: Session) -> None:
    other = Cpu("another CPU", 4, 2, 64 << 30, bf16=True)
    cluster = FakeCluster([node("1", 2), node("2", 4, cpu=other), node("3", 3)])
    session.run(cluster, *cells(8))
    # Five cores of the one, four of the other: records of two CPUs are two experiments.
    assert {where for _, where in cluster.started} == {"1", "3"}


def test_a_cluster_without_a_usable_node_says_why() -> None:
    cluster = FakeCluster([], why_unusable=["10.0.0.1: ModuleNotFoundError: pydantic"])
    with pytest.raises(HardwareError, match=r"10\.0\.0\.1: ModuleNotFoundError: pydantic"):
        machine_of(cluster)


def test_what_another_harness_runs_is_waited_for_and_reused(session: Session) -> None:
    cluster = FakeCluster([node("1")])
    first, second = runs_on(cluster, *cells(2))
    lock = session.store.lock(first.experiment, 0)
    lock.acquire()

    def meanwhile(key: int, order: Order, at: Node) -> Answer:
        answer = recorded(key, order)
        theirs = Order.of(first, 1, 1)
        (text,) = [recorded(0, theirs).text]
        path = session.store.path(first.experiment, 0)
        path.write_text(text)
        lock.release()
        return answer

    cluster.behaviour["1"] = meanwhile
    results = list(session.dispatcher(cluster).run([first, second]))
    assert sorted((r.run.experiment.cell.id, r.reused) for r in results) == [
        (cells(2)[0], True),
        (cells(2)[1], False),
    ]


def test_ctrl_c_ends_what_runs_and_keeps_what_is_finished(session: Session) -> None:
    cluster = FakeCluster([node("1")])
    runs = runs_on(cluster, *cells(3))
    results = session.dispatcher(cluster).run(runs)
    next(results)
    with pytest.raises(KeyboardInterrupt):
        results.throw(KeyboardInterrupt())  # type: ignore[attr-defined]
    assert cluster.cancelled == 1
    kept = [session.store.finished(run.experiment, 0) for run in runs]
    assert sum(record is not None for record in kept) == 1
    for run in runs:
        session.store.lock(run.experiment, 0).acquire(blocking=False)


def test_the_first_steps_tensors_do_not_travel(session: Session) -> None:
    cluster = FakeCluster([node("1")])
    (run,) = runs_on(cluster, *cells(1))
    run = Run(replace(run.experiment, extras=frozenset({Extra.FIRST_STEP})))
    with pytest.raises(SelectionError, match="not the first step's tensors"):
        list(session.dispatcher(cluster).run([run]))


class Answers:
    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []

    def send(self, kind: str, content: str) -> None:
        self.sent.append((kind, content))


def test_a_node_that_would_run_another_experiment_refuses() -> None:
    plan = Plan(Options())
    order = Order.of(plan.once(plan.matrix.cell(cells(1)[0])), 1, 1 << 30)
    answers = Answers()
    node_run._run(order.model_copy(update={"key": "of-another"}), answers, Event())  # type: ignore[arg-type]
    ((kind, content),) = answers.sent
    assert kind == "refused"
    assert "would run another experiment" in content
    assert "of-another" in content


def test_a_lock_that_does_not_ship_travels_with_its_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "driver"))
    text = (FIXTURES / "stacks" / "unsloth-2026.10.9.lock").read_text()
    release = kept_locks.keep(KeptLock(version="2026.10.9", python="3.11", lock=text))
    plan = Plan(Options())
    cell = cells(1)[0].replace("2026.10.9", release)
    order = Order.of(plan.once(plan.matrix.cell(cell)), 1, 1 << 30)
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "node"))
    sent = Order.model_validate_json(order.model_dump_json())
    node_run._run(sent.model_copy(update={"key": "of-another"}), Answers(), Event())  # type: ignore[arg-type]
    assert kept_locks.find(release).lock == text


@pytest.mark.parametrize(
    ("resources", "has", "has_not"),
    [
        (["CPU", "accelerator_type:T4"], {"t4": "T4"}, {"l4", "a100"}),
        (["accelerator_type:L40S"], {"l40s": "L40S"}, {"l4"}),
        (["accelerator_type:A100-SXM4-40GB"], {"a100": "A100-SXM4-40GB"}, {"h100"}),
        # Ray's versions name it differently.
        (["accelerator_type:GeForce-RTX-4090"], {"rtx-4090": None}, {"t4"}),
    ],
)
def test_a_node_offers_what_its_accelerator_type_says(
    resources: list[str], has: dict[str, str | None], has_not: set[str]
) -> None:
    offered = accelerators(resources)
    assert has.items() <= offered.items()
    assert not has_not & offered.keys()


@pytest.mark.parametrize(
    ("resources", "lent"),
    [
        ({"CPU": 4.0, "GPU": 2.0, "accelerator_type:T4": 1.0}, ["GPU-a", "GPU-b"]),
        ({"CPU": 4.0, "GPU": 1.0, "accelerator_type:T4": 1.0}, ["GPU-a"]),
        ({"CPU": 4.0, "accelerator_type:T4": 1.0}, []),
        # The driver says T4, Ray says L4: no cell can rely on either.
        ({"CPU": 4.0, "GPU": 2.0, "accelerator_type:L4": 1.0}, []),
    ],
)
def test_a_node_lends_the_gpus_that_ray_and_the_driver_agree_on(
    resources: dict[str, float], lent: list[str]
) -> None:
    machine = Machine(CPU, (gpu("t4", "GPU-a"), gpu("t4", "GPU-b")))
    row = {"NodeID": "0123456789", "NodeManagerAddress": "10.0.0.9", "Resources": resources}
    found = node_of({**row, "Resources": {**resources, "memory": 10e9}}, machine)
    assert [g.uuid for g in found.machine.gpus] == lent
    assert (found.address, found.cores, found.memory_bytes) == (
        "10.0.0.9 (01234567)",
        4,
        9_000_000_000,
    )


def test_ray_is_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"ray is not installed.*uv sync --extra ray"):
        RayCluster("auto")
