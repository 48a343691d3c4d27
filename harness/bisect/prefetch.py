"""Environments of the releases that may be asked next, built while a cell runs."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from types import TracebackType
from typing import Self

from harness.errors import HarnessError

AT_ONCE = 1
"""Builds beside a cell: downloads wait for the network, and the cell should not wait for them."""


class Prefetch:
    """Builds in the background; what fails there fails again, and is told, where it is needed."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="prefetch")
        self._stop = Event()
        self._asked: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._stop.set()
        # One that runs is let finish: a half-built environment would be built again.
        self._pool.shutdown(wait=kind is None, cancel_futures=True)

    def start(self, names: Sequence[str], build: Callable[[str], object]) -> None:
        """Build for names, in order, those that were not asked for before."""
        for name in names:
            if name not in self._asked:
                self._asked.add(name)
                self._pool.submit(self._build, name, build)

    def _build(self, name: str, build: Callable[[str], object]) -> None:
        if self._stop.is_set():
            return
        try:
            build(name)
        except HarnessError:
            pass
