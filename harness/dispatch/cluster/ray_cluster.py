"""A Ray cluster (extra `ray`): Ray starts a process on the node that it is told, and says how that ended.

The driver's harness and fixtures travel to the nodes, so that all run one version; what the harness
depends on must be installed there.
"""

import logging
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.dispatch.cluster import node as on_node
from harness.dispatch.cluster.nodes import Answer, Failed, Node, Recorded, Said
from harness.dispatch.cluster.order import Order, read_answer
from harness.dispatch.cluster.ray_resources import accelerators, address_of, node_of
from harness.errors import HardwareError, MissingExtraError
from harness.locations import FIXTURES, PACKAGE

_PROBE_S = 120.0
"""How long a node may take to unpack the harness and say what it is."""
_FETCH_S = 60.0
_KNOCK_S = 10.0


class RayCluster:
    """Nodes of a Ray cluster, asked once each what they are.

    Args:
        address: Of a running cluster, as `ray.init` takes it; None: RAY_ADDRESS, else the cluster of this
            machine.

    Raises:
        MissingExtraError: Ray is not installed.
        HardwareError: No cluster there, or one that can be reached through Ray Client only.
    """

    def __init__(self, address: str | None = None) -> None:
        # Nodes have environments of their own; Ray would otherwise copy the one of `uv run`.
        os.environ.setdefault("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")
        try:
            import ray
        except ImportError as error:
            raise MissingExtraError("ray", "ray") from error
        self._ray: Any = ray
        self._staged = tempfile.TemporaryDirectory(prefix="harness-")
        self._known: dict[str, Node] = {}
        self._unusable: dict[str, str] = {}
        self._accelerators: dict[str, dict[str, str | None]] = {}
        self._probes: dict[Any, dict[str, Any]] = {}
        self._out: dict[Any, int] = {}
        self._connect(address or os.environ.get("RAY_ADDRESS") or "auto")
        self._look(patience_s=_PROBE_S)

    def nodes(self) -> Sequence[Node]:
        """Return the nodes that are alive now and can run orders; a new one as soon as it has answered."""
        alive = self._look()
        return [node for name, node in self._known.items() if name in alive]

    def unusable(self) -> Sequence[str]:
        """Return each node that cannot run orders, and why."""
        return list(self._unusable.values())

    def start(self, key: int, order: Order, node: Node, gpu: str | None) -> None:
        """Start an order on a node; Ray chooses its GPU, and kills what it must with the process."""
        options: dict[str, Any] = {
            "num_cpus": min(order.threads, node.cores),
            "memory": order.memory_bytes,
            "max_retries": 0,
            "num_returns": "streaming",
            "scheduling_strategy": self._only(node.name),
        }
        if gpu is not None:
            options["num_gpus"] = 1
            if (accelerator := self._accelerators[node.name].get(gpu)) is not None:
                options["accelerator_type"] = accelerator
        task = self._ray.remote(on_node.answers).options(**options)
        self._out[task.remote(order.model_dump_json())] = key

    def wait(self, timeout_s: float) -> Sequence[Answer]:
        """Return what has come."""
        if not self._out:
            time.sleep(timeout_s)
            return []
        ready, _ = self._ray.wait(list(self._out), num_returns=1, timeout=timeout_s)
        return [self._next(stream) for stream in ready]

    def cancel(self) -> None:
        """End all that runs: a worker's end is its payload's."""
        for stream in self._out:
            self._ray.cancel(stream, force=True)
        self._out.clear()

    def close(self) -> None:
        """Leave the cluster, which stays."""
        self.cancel()
        self._ray.shutdown()
        self._staged.cleanup()

    def _connect(self, address: str) -> None:
        if address.startswith("ray://"):
            raise HardwareError(
                f"{address}: Ray Client does not stream results. Start the run on a node of the cluster, "
                "with `ray job submit` for example."
            )
        try:
            _knock(address)
            self._ray.init(
                address=address,
                log_to_driver=False,
                logging_level=logging.ERROR,
                runtime_env={"py_modules": [str(_stage(Path(self._staged.name)))]},
            )
        except (OSError, RuntimeError, ValueError) as error:
            raise HardwareError(
                f"no Ray cluster at {address}: {error}. `ray start --head` starts one; --ray-address or "
                "RAY_ADDRESS names another."
            ) from error

    def _look(self, patience_s: float = 0.0) -> set[str]:
        """Ask new nodes what they are; return the names of those that are alive."""
        alive = {row["NodeID"]: row for row in self._ray.nodes() if row["Alive"]}
        asked = {row["NodeID"] for row in self._probes.values()}
        for name, row in alive.items():
            if row["Resources"].get("CPU") and not {name} & (
                asked | self._known.keys() | self._unusable.keys()
            ):
                task = self._ray.remote(on_node.describe).options(
                    num_cpus=0, max_retries=0, scheduling_strategy=self._only(name)
                )
                self._probes[task.remote()] = row
        if self._probes:
            probes = list(self._probes)
            ready, _ = self._ray.wait(probes, num_returns=len(probes), timeout=patience_s)
            for probe in ready:
                self._meet(probe, self._probes.pop(probe))
        return set(alive)

    def _meet(self, probe: Any, row: dict[str, Any]) -> None:
        name = row["NodeID"]
        try:
            machine = on_node.MACHINE.validate_json(self._ray.get(probe, timeout=_FETCH_S))
        except (self._ray.exceptions.RayError, ValueError) as error:
            self._unusable[name] = f"{address_of(row)}: {_last_line(error)}"
            return
        self._accelerators[name] = accelerators(row["Resources"])
        self._known[name] = node_of(row, machine)

    def _next(self, stream: Any) -> Answer:
        key, errors = self._out[stream], self._ray.exceptions
        try:
            kind, content = read_answer(self._ray.get(next(stream), timeout=_FETCH_S))
        except StopIteration:
            kind, content = "refused", "it ended without a record"
        except (errors.NodeDiedError, errors.LocalRayletDiedError, errors.TaskUnschedulableError):
            # Unschedulable: it was the only node that may, and is not there any more.
            del self._out[stream]
            return Failed(key, "the node is gone", node_is_gone=True)
        except (errors.RayError, ValueError) as error:
            kind, content = "refused", _last_line(error)
        if kind in ("record", "refused"):
            del self._out[stream]
            return Recorded(key, str(content)) if kind == "record" else Failed(key, str(content))
        return Said(key, kind, content)

    def _only(self, name: str) -> Any:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        return NodeAffinitySchedulingStrategy(name, soft=False)


def _knock(address: str) -> None:
    """Fail at once where nobody listens: Ray itself tries for minutes."""
    host, colon, port = address.rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host.strip("[]"), int(port)), timeout=_KNOCK_S).close()


def _stage(folder: Path) -> Path:
    """Copy the package with its fixtures in it, as a wheel has them; return it."""
    package = folder / PACKAGE.name
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    if not FIXTURES.is_relative_to(PACKAGE):
        shutil.copytree(FIXTURES, package / "_fixtures")
    return package


def _last_line(error: Exception) -> str:
    # Ray puts a traceback of every process on the way before the error itself.
    lines = [line for line in str(error).splitlines() if line.strip()]
    name = type(error).__name__
    return f"{name}: {lines[-1].strip()}" if lines else name
