"""A cluster as the dispatcher sees it: nodes, orders that start, answers that come."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

from harness.dispatch.cluster.order import Order
from harness.dispatch.expectation import cpu_name
from harness.dispatch.place import Place
from harness.errors import HardwareError
from harness.hardware import Gpu, Machine


@dataclass(frozen=True)
class Node:
    """A machine of a cluster.

    Attributes:
        name: What the cluster knows it by.
        address: What people know it by.
        cores: That the cluster lends.
        memory_bytes: RAM that the cluster lends.
        machine: What it is; its GPUs are those that the cluster lends.
    """

    name: str
    address: str
    cores: int
    memory_bytes: int
    machine: Machine

    def place(self, threads: int, jobs: int | None) -> Place:
        """Return what of it can be used.

        Args:
            threads: CPU threads of one cell.
            jobs: Cells at once, at most.
        """
        cores = self.cores if jobs is None else min(self.cores, jobs * threads)
        gpus = {gpu.uuid: gpu.name for gpu in self.machine.gpus}
        return Place(self.name, cpu_name(self.machine.cpu), cores, self.memory_bytes, gpus)


@dataclass(frozen=True)
class Said:
    """A run goes on: an event of the payload, a line for the user, or its stack is built."""

    key: int
    kind: str
    content: Any


@dataclass(frozen=True)
class Recorded:
    """A run has ended with a record, which is text until it is validated."""

    key: int
    text: str


@dataclass(frozen=True)
class Failed:
    """A run has ended without a record: its node or its process is gone, or the node refused."""

    key: int
    reason: str
    node_is_gone: bool = False


Answer = Said | Recorded | Failed


class Cluster(Protocol):
    """Starts orders on nodes. Never retries: what failed is told."""

    def nodes(self) -> Sequence[Node]:
        """Return the nodes that are alive now and can run orders."""
        ...

    def unusable(self) -> Sequence[str]:
        """Return each node that cannot run orders, and why."""
        ...

    def start(self, key: int, order: Order, node: Node, gpu: str | None) -> None:
        """Start an order on a node.

        Args:
            key: Names it in the answers.
            order: What to run.
            node: Where.
            gpu: Hardware slug of the GPU that it has for itself.
        """
        ...

    def wait(self, timeout_s: float) -> Sequence[Answer]:
        """Return what has come, or nothing when nothing comes in time."""
        ...

    def cancel(self) -> None:
        """End all that runs."""
        ...

    def close(self) -> None:
        """Leave the cluster."""
        ...


def machine_of(cluster: Cluster) -> Machine:
    """Return a machine that has what the cluster has: one GPU of each kind, and the commonest CPU.

    Cells that compute on a CPU run on nodes with that CPU only: records of two CPUs are two experiments.

    Raises:
        HardwareError: No node can run a cell.
    """
    nodes = cluster.nodes()
    if not nodes:
        why = "; ".join(cluster.unusable()) or "it has none with CPUs"
        raise HardwareError(f"no node of this cluster can run cells: {why}.")
    cores: Counter[str] = Counter()
    for node in nodes:
        cores[cpu_name(node.machine.cpu)] += node.cores
    commonest = cores.most_common(1)[0][0]
    cpu = next(n.machine.cpu for n in nodes if cpu_name(n.machine.cpu) == commonest)
    gpus: dict[str, Gpu] = {}
    for node in nodes:
        for gpu in node.machine.gpus:
            gpus.setdefault(gpu.slug, gpu)
    count = f"this cluster of {len(nodes)} node{'s' if len(nodes) > 1 else ''}"
    return replace(nodes[0].machine, cpu=cpu, gpus=tuple(gpus.values()), where=count)
