"""Runs of simulated duration on a simulated clock: what a schedule leaves idle."""

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from harness.dispatch.place import Need, Place
from harness.dispatch.placement import Placement


@dataclass
class Outcome:
    makespan_s: float
    order: list[int] = field(default_factory=list)
    where: dict[int, str] = field(default_factory=dict)
    most_at_once: int = 0


def place(
    cores: int,
    name: str = "here",
    gpus: Sequence[str] = (),
    memory: int = 1 << 40,
    per_gpu: int = 1,
) -> Place:
    cards = {f"GPU-{i}": gpu for i, gpu in enumerate(gpus)}
    return Place(name, "cpu", cores, memory, cards, per_gpu)


def need(
    expected_s: float, repeat: int = 0, gpu: str | None = None, memory: int = 1, build: str = ""
) -> Need:
    return Need(gpu or "cpu", 1, memory, expected_s, repeat, build, gpu is not None)


def simulate(
    places: Sequence[Place],
    needs: Mapping[int, Need],
    durations: Mapping[int, float],
    build_s: float = 0.0,
) -> Outcome:
    """Run everything on a clock that jumps from event to event."""
    placement = Placement(places, needs)
    outcome, clock = Outcome(0.0), 0.0
    events: list[tuple[float, int, str]] = []
    running = 0
    built: set[tuple[str, str]] = set()
    while placement.waiting or events:
        while (start := placement.start()) is not None:
            running += 1
            outcome.order.append(start.key)
            outcome.where[start.key] = start.place
            what = (start.place, needs[start.key].build)
            ready = clock if not what[1] or what in built else clock + build_s
            built.add(what)
            heapq.heappush(events, (ready, start.key, "built"))
            heapq.heappush(events, (ready + durations[start.key], start.key, "ended"))
        outcome.most_at_once = max(outcome.most_at_once, running)
        assert events, "something waits, nothing runs and nothing starts"
        clock, key, kind = heapq.heappop(events)
        if kind == "built":
            placement.built(key)
        else:
            placement.end(key)
            running -= 1
    outcome.makespan_s = clock
    return outcome


def idle(outcome: Outcome, durations: Mapping[int, float], slots: int) -> float:
    """Return the share of the slots' time in which nothing ran: 1 - busy / (slots x makespan)."""
    return 1 - sum(durations.values()) / (slots * outcome.makespan_s)
