"""The time of a window: what still fits in it, and its end, which comes as Ctrl-C does."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

RESERVE_S = 20.0
"""Kept back of a window, to end what runs and to pack what is there: a policy."""


class WindowOver(KeyboardInterrupt):
    """The window is over; what was finished is kept."""


class Budget:
    """Counts a window down.

    Args:
        seconds: Of the window, from now on.
        clock: Monotonic seconds.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._end = clock() + seconds - RESERVE_S

    @property
    def left_s(self) -> float:
        """Seconds that may still be measured in."""
        return max(0.0, self._end - self._clock())

    def fits(self, seconds: float) -> bool:
        """Whether something that takes so long can be finished."""
        return seconds <= self.left_s

    @contextmanager
    def enforced(self) -> Iterator[None]:
        """Raise WindowOver in the main thread when the time is spent."""

        def end(signum: int, frame: FrameType | None) -> None:
            raise WindowOver

        former = signal.signal(signal.SIGALRM, end)
        signal.setitimer(signal.ITIMER_REAL, max(self.left_s, 0.001))
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, former)
