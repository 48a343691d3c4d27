"""Phases of a run with their wall time and peak memory."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from .events import EventLog
from .process_memory import peaks, reset_peaks, synchronise


@dataclass
class _Stretch:
    """A phase, or the times of one kind within it."""

    name: str
    wall_s: float = 0.0
    peaks: dict[str, int] = field(default_factory=dict)

    def take(self, seen: dict[str, int | None]) -> None:
        """Keep the higher of each peak."""
        for name, value in seen.items():
            if value is not None:
                self.peaks[name] = max(value, self.peaks.get(name, 0))

    def figures(self) -> dict[str, Any]:
        return {"name": self.name, "wall_s": self.wall_s, **self.peaks}


class Phases:
    """Announces each phase, and measures it.

    A process has one high-water mark: whoever is measured last is read and the mark reset where one
    stretch ends and another goes on, so that each has the peaks of its own time.
    """

    def __init__(self, events: EventLog) -> None:
        self._events = events
        self.current = "start"
        self._open: list[_Stretch] = []
        self._within: dict[str, _Stretch] = {}
        self.aside_s = 0.0
        """Seconds that the evidence has taken for itself so far."""

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Measure a stretch of the run: wall seconds, peak RSS and peak GPU memory in bytes."""
        self.current = name
        self._events.emit("phase", name=name)
        phase = _Stretch(name)
        with self._measured(phase):
            yield
        for stretch in (phase, *self._within.values()):
            self._events.emit("phase_end", **stretch.figures())
        self._within = {}

    @contextmanager
    def within(self, name: str) -> Iterator[None]:
        """Measure a stretch that the current phase is in the middle of, once or many times.

        It becomes a phase with the sum of their wall seconds and the highest of their peaks. The phase
        around it keeps its wall time, and has the peaks of the rest.
        """
        with self._measured(self._within.setdefault(name, _Stretch(name))):
            yield

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Leave what is done here, by the evidence for itself, out of all times and peaks."""
        # Else what the run has asked of a GPU would be waited for here.
        synchronise()
        start = time.perf_counter()
        self._read()
        try:
            yield
        finally:
            reset_peaks()
            synchronise()
            self.aside_s += time.perf_counter() - start

    @contextmanager
    def _measured(self, stretch: _Stretch) -> Iterator[None]:
        self._read()
        self._open.append(stretch)
        reset_peaks()
        start, aside = time.perf_counter(), self.aside_s
        try:
            yield
        finally:
            stretch.wall_s += time.perf_counter() - start - (self.aside_s - aside)
            self._read()
            self._open.pop()
            reset_peaks()

    def _read(self) -> None:
        if self._open:
            self._open[-1].take(peaks())
