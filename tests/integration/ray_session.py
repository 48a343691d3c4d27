"""A Ray cluster of three nodes on loopback, what is done with it, and what came of that, as JSON.

Runs in a network namespace of its own: `python -m tests.integration.ray_session OUT CELL...`.
"""

import io
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from threading import Event, Thread
from typing import Any

import psutil
from rich.console import Console

from harness.dispatch.cluster.order import Order
from harness.dispatch.cluster.ray_cluster import RayCluster
from harness.dispatch.dispatcher import Result
from harness.errors import HardwareError
from harness.plan import Options, Plan, Where

# Ray's own defaults find a lost node after 18 s.
HEALTH = {
    "health_check_initial_delay_ms": 0,
    "health_check_period_ms": 500,
    "health_check_timeout_ms": 1000,
    "health_check_failure_threshold": 3,
}


class Said(io.StringIO):
    """What is printed, and a moment in it."""

    def __init__(self, awaited: str) -> None:
        super().__init__()
        self._awaited, self.seen = awaited, Event()

    def write(self, text: str) -> int:
        if self._awaited in text:
            self.seen.set()
        return super().write(text)


def execute(
    plan: Plan, cells: list[str], then: Callable[[], None] | None = None
) -> tuple[list[Result], str]:
    """Run cells; do `then` as soon as one trains."""
    said = Said(": train step")

    def when_it_trains() -> None:
        if said.seen.wait(120) and then:
            then()

    watcher = Thread(target=when_it_trains, daemon=True)
    watcher.start()
    runs = plan.runs([plan.matrix.cell(cell) for cell in cells])
    return plan.execute(runs, Console(file=said, width=200)), said.getvalue()


def summary(results: list[Result]) -> dict[str, Any]:
    return {
        r.record.cell_id: {
            "status": r.record.status,
            "failure": r.record.failure and r.record.failure.message,
            "eval_losses": r.record.eval_losses,
            "adapter": r.record.adapter and r.record.adapter.digest_after,
            "reused": r.reused,
        }
        for r in results
    }


def left_behind() -> int:
    """Count payloads of this session, whose folders are below its TMPDIR."""
    ours = os.environ["TMPDIR"]
    return sum(
        (p.info["cwd"] or "").startswith(ours)
        for p in psutil.process_iter(["cwd"])
        if p.pid != os.getpid()
    )


def wait_for_none_left() -> int:
    deadline = time.monotonic() + 20
    while (count := left_behind()) and time.monotonic() < deadline:
        time.sleep(0.2)
    return count


def a_t4_cell_on(cluster: RayCluster, node_id: str, plan: Plan, cell: str) -> Any:
    """Send a cell that needs a T4 to the node that says that it has one."""
    order = Order.of(plan.once(plan.matrix.cell(cell)), 1, 1 << 30)
    node = next(node for node in cluster.nodes() if node.name == node_id)
    cluster.start(0, order.model_copy(update={"hardware": "t4"}), node, "t4")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for answer in cluster.wait(0.5):
            return vars(answer)
    return None


def main(out: Path, cells: list[str]) -> None:
    from ray.cluster_utils import Cluster

    ray = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "_system_config": HEALTH})
    doomed, *_, with_t4 = [
        ray.add_node(num_cpus=1),
        ray.add_node(num_cpus=1),
        ray.add_node(num_cpus=1, num_gpus=1, resources={"accelerator_type:T4": 1}),
    ]
    plan = Plan(Options(where=Where.RAY, ray_address=ray.address))
    found: dict[str, Any] = {"nodes": plan.machine.where}
    with closing(plan):
        results, said = execute(plan, cells, lambda: ray.remove_node(doomed, allow_graceful=False))
        found |= {"first": summary(results), "said": said}
        found["again"] = summary(execute(plan, cells)[0])
        try:
            execute(plan, [cells[0].replace("/cpu/", "/t4/")])
        except HardwareError as error:
            found["no_t4"] = str(error)
        assert isinstance(plan._cluster, RayCluster)
        found["t4"] = a_t4_cell_on(plan._cluster, with_t4.node_id, plan, cells[0])
        try:
            execute(plan, [f"{cells[0]}+seed=5"], lambda: os.kill(os.getpid(), signal.SIGINT))
        except KeyboardInterrupt:
            found["interrupted"] = True
        found["left_behind"] = wait_for_none_left()
    ray.shutdown()  # type: ignore[no-untyped-call]
    out.write_text(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
