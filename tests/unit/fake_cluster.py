"""A cluster without machines: what its nodes answer is a function of the run and the node."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from harness.cpu_info import Cpu
from harness.dispatch.cluster.nodes import Answer, Failed, Node, Recorded, Said
from harness.dispatch.cluster.order import Order
from harness.hardware import Gpu, Machine, load_profiles
from tests.unit.records import make_record

CPU = Cpu("a CPU", 4, 2, 64 << 30, bf16=False)
T4 = load_profiles()["t4"]


def gpu(name: str = "t4", uuid: str = "GPU-1") -> Gpu:
    card = load_profiles()[name]
    memory = card.memory_bytes or 0
    return Gpu(uuid, card.name, str(card.compute_capability), memory, memory, "1", 0, 0, (), card)


def node(name: str, cores: int = 1, gpus: Sequence[Gpu] = (), cpu: Cpu = CPU) -> Node:
    return Node(name, f"10.0.0.{name}", cores, 32 << 30, Machine(cpu, tuple(gpus)))


def recorded(key: int, order: Order, status: str = "COMPLETED", **changes: object) -> Recorded:
    record = make_record(
        **{
            "cell_id": order.cell.id,
            "key": order.key,
            "repeat": order.repeat,
            "status": status,
            **changes,
        }
    )
    return Recorded(key, record.model_dump_json())


Behaviour = Callable[[int, Order, Node], Answer]


def completes(key: int, order: Order, at: Node) -> Answer:
    return recorded(key, order)


def lost(key: int, order: Order, at: Node) -> Answer:
    return Failed(key, "the node is gone", node_is_gone=True)


def refuses(key: int, order: Order, at: Node) -> Answer:
    return Failed(key, "StorageError: disk full")


@dataclass
class FakeCluster:
    alive: list[Node]
    behaviour: dict[str, Behaviour] = field(default_factory=dict)
    """By node; a node without one completes what it is given."""
    started: list[tuple[str, str]] = field(default_factory=list)
    """Cell and node."""
    gpus: list[str | None] = field(default_factory=list)
    cancelled: int = 0
    why_unusable: list[str] = field(default_factory=list)
    _pending: list[Answer] = field(default_factory=list)

    def nodes(self) -> Sequence[Node]:
        return list(self.alive)

    def unusable(self) -> Sequence[str]:
        return self.why_unusable

    def start(self, key: int, order: Order, node: Node, gpu: str | None) -> None:
        self.started.append((order.cell.id, node.name))
        self.gpus.append(gpu)
        answer = self.behaviour.get(node.name, completes)(key, order, node)
        if isinstance(answer, Failed) and answer.node_is_gone:
            self.alive = [n for n in self.alive if n.name != node.name]
        self._pending += [Said(key, "built", None), Said(key, "say", f"{node.name} begins"), answer]

    def wait(self, timeout_s: float) -> Sequence[Answer]:
        # One at a time, as they would come.
        taken, self._pending = self._pending[:1], self._pending[1:]
        return taken

    def cancel(self) -> None:
        self.cancelled += 1
        self._pending.clear()

    def close(self) -> None: ...
