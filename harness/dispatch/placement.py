"""Which run starts next, and where: arithmetic on cores, memory and GPUs, without a clock or a process.

Longest first (Graham 1969: longest processing time), because a long run that starts last leaves every
other slot idle. Every cell has a record before any cell is measured again, as long as that costs
nothing: a repeat so long that the rest would end before it goes first.
"""

import heapq
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

from harness.dispatch.place import Need, Place

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True)
class Start(Generic[K]):
    """A run that starts now.

    Attributes:
        key: What names the run.
        place: Name of the place.
        gpu: UUID of the GPU that it has for itself.
        memory_bytes: RAM that it may use.
    """

    key: K
    place: str
    gpu: str | None
    memory_bytes: int


@dataclass(frozen=True)
class _Kind:
    """Runs that fit alike: they differ in nothing but their length."""

    need: Need
    barred: frozenset[str] = frozenset()


@dataclass
class _Waiting(Generic[K]):
    """Runs of a kind, the longest of each heap on top."""

    first: list[tuple[float, int, K]] = field(default_factory=list)
    again: list[tuple[float, int, K]] = field(default_factory=list)

    def heap(self, *, repeat: bool) -> list[tuple[float, int, K]]:
        return self.again if repeat else self.first


class Placement(Generic[K]):
    """Runs that wait, places that are open, and who is where.

    Args:
        places: Machines.
        needs: Each run's need, by what names the run.
    """

    def __init__(self, places: Iterable[Place], needs: Mapping[K, Need]) -> None:
        self._places = {place.name: place for place in places}
        self._needs = dict(needs)
        self._order = {key: at for at, key in enumerate(needs)}
        self._running: dict[K, Start[K]] = {}
        self._barred: defaultdict[K, frozenset[str]] = defaultdict(frozenset)
        self._waiting: defaultdict[_Kind, _Waiting[K]] = defaultdict(_Waiting)
        self._work: defaultdict[str, float] = defaultdict(float)
        for key in needs:
            self._wait(key)

    @property
    def waiting(self) -> bool:
        """Whether any run has not started."""
        return bool(self._waiting)

    @property
    def open(self) -> frozenset[str]:
        """Names of the places that take runs."""
        return frozenset(self._places)

    def start(self) -> Start[K] | None:
        """Reserve room for the run that starts next; None until something changes."""
        best: tuple[tuple[bool, bool, float, int], _Kind, Place] | None = None
        for kind, waiting in self._waiting.items():
            fitting = [place for place in self._able(kind) if place.fits(kind.need)]
            if fitting:
                rank = self._rank(kind, waiting)
                if best is None or rank < best[0]:
                    # The emptiest: runs on one machine slow each other down.
                    best = rank, kind, max(fitting, key=lambda p: p.free_cores / p.cores)
        if best is None:
            return None
        (_, is_repeat, *_), kind, place = best
        key = self._take(kind, repeat=is_repeat)
        need = self._needs[key]
        start = Start(key, place.name, place.take(need), place.memory(need))
        self._running[key] = start
        return start

    def built(self, key: K) -> None:
        """Say that what a running run needed built is built: others go ahead."""
        place = self._places.get(self._running[key].place)
        if place is not None:
            place.has_built(self._needs[key])

    def end(self, key: K) -> None:
        """Free a run's room."""
        start = self._running.pop(key)
        place = self._places.get(start.place)
        if place is not None:
            place.give_back(self._needs[key], start.gpu)

    def wait_again(self, key: K, *, bar: str | None = None) -> None:
        """Let a run that has ended wait once more, and never at the place `bar`."""
        if bar is not None:
            self._barred[key] |= {bar}
        self._wait(key)

    def add(self, place: Place) -> None:
        """Open a place."""
        self._places[place.name] = place

    def close(self, name: str) -> None:
        """Send nothing more to a place; what runs there is not touched."""
        self._places.pop(name, None)

    def stranded(self) -> list[K]:
        """Take out the waiting runs that no open place can ever run, and return them."""
        taken: list[K] = []
        for kind in [kind for kind in self._waiting if not any(self._able(kind))]:
            while kind in self._waiting:
                taken.append(self._take(kind, repeat=not self._waiting[kind].first))
        return taken

    def _rank(self, kind: _Kind, waiting: _Waiting[K]) -> tuple[bool, bool, float, int]:
        if waiting.again:
            length, order, _ = waiting.again[0]
            slots = sum(place.slots(kind.need) for place in self._places.values())
            if -length * slots >= self._work[kind.need.device]:
                return False, True, length, order
        is_repeat = not waiting.first
        length, order, _ = waiting.heap(repeat=is_repeat)[0]
        return True, is_repeat, length, order

    def _able(self, kind: _Kind) -> Iterator[Place]:
        for place in self._places.values():
            if place.name not in kind.barred and place.slots(kind.need):
                yield place

    def _wait(self, key: K) -> None:
        need = self._needs[key]
        heap = self._waiting[self._kind(key)].heap(repeat=need.repeat > 0)
        heapq.heappush(heap, (-need.expected_s, self._order[key], key))
        self._work[need.device] += need.expected_s

    def _take(self, kind: _Kind, *, repeat: bool) -> K:
        waiting = self._waiting[kind]
        key = heapq.heappop(waiting.heap(repeat=repeat))[2]
        if not waiting.first and not waiting.again:
            del self._waiting[kind]
        self._work[kind.need.device] -= self._needs[key].expected_s
        return key

    def _kind(self, key: K) -> _Kind:
        return _Kind(replace(self._needs[key], expected_s=0.0, repeat=0), self._barred[key])
