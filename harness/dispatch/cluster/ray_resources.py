"""What a node of a Ray cluster lends, by its own account and by its driver's."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from harness.dispatch.cluster.nodes import Node
from harness.hardware import Machine
from harness.profiles import load_profiles

_MEMORY_FRACTION = 0.9
_ACCELERATOR = "accelerator_type:"


def address_of(row: dict[str, Any]) -> str:
    """Return what people know a node by: its address, and enough of Ray's name for it.

    Args:
        row: Of `ray.nodes()`.
    """
    return f"{row['NodeManagerAddress']} ({row['NodeID'][:8]})"


def node_of(row: dict[str, Any], machine: Machine) -> Node:
    """Return a node with what Ray lends of it: CPUs, memory, and GPUs whose accelerator type is theirs.

    Args:
        row: Of `ray.nodes()`.
        machine: What the node says that it is.
    """
    resources, known = row["Resources"], load_profiles()
    offered = accelerators(resources)
    gpus = [g for g in machine.gpus if g.slug in offered or g.slug not in known]
    memory = min(resources.get("memory", machine.memory_bytes), machine.memory_bytes)
    return Node(
        row["NodeID"],
        address_of(row),
        int(resources["CPU"]),
        int(memory * _MEMORY_FRACTION),
        replace(machine, gpus=tuple(gpus[: int(resources.get("GPU", 0))])),
    )


def accelerators(resources: Iterable[str]) -> dict[str, str | None]:
    """Return the hardware slugs of the cards that a node may offer, and what Ray calls each there.

    A card that Ray has no certain name for (None) is known by its driver alone.

    Args:
        resources: Names of the node's resources; a card's is `accelerator_type:A100`, or with old drivers
            and by hand a longer one, `accelerator_type:A100-SXM4-40GB`.
    """
    labels = [name.removeprefix(_ACCELERATOR) for name in resources if _ACCELERATOR in name]
    offered: dict[str, str | None] = {}
    for slug, card in load_profiles().items():
        name = card.accelerator
        matching = [at for at in labels if name and (at == name or at.startswith(f"{name}-"))]
        if matching or name is None:
            offered[slug] = matching[0] if matching else None
    return offered
