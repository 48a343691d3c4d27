"""What a run needs, and a machine with what of it is free."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Need:
    """What one run takes while it runs.

    Attributes:
        device: Name of the GPU that it has for itself, or of the CPU that it computes on.
        memory_bytes: RAM that is set aside for it.
        expected_s: Seconds that it is expected to take.
        repeat: 0 for a cell's first run.
        build: What has to be built before it starts and may not be there; empty for nothing.
    """

    device: str
    cores: int
    memory_bytes: int
    expected_s: float
    repeat: int = 0
    build: str = ""
    on_gpu: bool = False


@dataclass
class Place:
    """A machine, and what of it is free.

    Attributes:
        cpu: Name of its CPU.
        gpus: Name of each GPU by its UUID.
        per_gpu: Runs that a GPU takes at once; speed and memory are a run's own where it is 1.
    """

    name: str
    cpu: str
    cores: int
    memory_bytes: int
    gpus: Mapping[str, str] = field(default_factory=dict)
    per_gpu: int = 1

    def __post_init__(self) -> None:
        self.free_cores, self.free_memory = self.cores, self.memory_bytes
        self.on_gpus = Counter(dict.fromkeys(self.gpus, 0))
        self.building: set[str] = set()
        self.built: set[str] = set()

    def slots(self, need: Need) -> int:
        """Return how many runs of a kind it takes at once when it is empty."""
        if need.on_gpu:
            return list(self.gpus.values()).count(need.device) * self.per_gpu
        return self.cores // self._cores(need) if need.device == self.cpu else 0

    def fits(self, need: Need) -> bool:
        """Whether a run can start now; one that is too big for it may have it all."""
        return (
            self._cores(need) <= self.free_cores
            and self.memory(need) <= self.free_memory
            and need.build not in self.building
            and (self._emptiest(need) is not None if need.on_gpu else True)
        )

    def memory(self, need: Need) -> int:
        """Return the bytes that a run is granted here."""
        return min(need.memory_bytes, self.memory_bytes)

    def take(self, need: Need) -> str | None:
        """Reserve what a run needs; return the UUID of its GPU."""
        self.free_cores -= self._cores(need)
        self.free_memory -= self.memory(need)
        if need.build and need.build not in self.built:
            self.building.add(need.build)
        if not need.on_gpu:
            return None
        gpu = self._emptiest(need)
        assert gpu is not None
        self.on_gpus[gpu] += 1
        return gpu

    def has_built(self, need: Need) -> None:
        """Note that what a run needed built is there."""
        self.building.discard(need.build)
        self.built.add(need.build)

    def give_back(self, need: Need, gpu: str | None) -> None:
        """Free what a run had."""
        if need.build not in self.built:
            # Its build failed: the next may try.
            self.building.discard(need.build)
        self.free_cores += self._cores(need)
        self.free_memory += self.memory(need)
        if gpu is not None:
            self.on_gpus[gpu] -= 1

    def _emptiest(self, need: Need) -> str | None:
        alike = [uuid for uuid, name in self.gpus.items() if name == need.device]
        open_ones = [uuid for uuid in alike if self.on_gpus[uuid] < self.per_gpu]
        return min(open_ones, key=lambda uuid: self.on_gpus[uuid], default=None)

    def _cores(self, need: Need) -> int:
        return min(need.cores, self.cores)
