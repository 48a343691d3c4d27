"""A payload while it runs: its events passed on, and what it uses held against its limits."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from threading import Event
from typing import Any, Protocol

from harness.ending import Hit
from harness.events import Events, UnusableEventsError
from harness.processes.conditions_watch import ConditionsWatch
from harness.processes.payload import Setting
from harness.processes.tree import processes_of, resident

OnEvent = Callable[[dict[str, Any]], None]

_POLL_S = 0.1
_LOOK_S = 1.0
_GIB = 1 << 30


class InterruptedRun(Exception):  # noqa: N818 - not an error: the user asked for it
    """The run was cancelled from outside; it leaves no record."""


class Running(Protocol):
    """What of `subprocess.Popen` watching needs."""

    @property
    def pid(self) -> int | None:
        """The process id; None where there never was a process."""
        ...

    def poll(self) -> int | None:
        """Return the exit code; None while it runs."""
        ...


class Watch:
    """Follows one payload until it ends or hits a limit.

    Args:
        process: The payload.
        setting: What it runs in.
        events: Its answer.
        memory_bytes: Resident memory that it may use.
        on_event: Called with each event as it arrives.
        conditions: Looks at the machine meanwhile.
    """

    def __init__(
        self,
        process: Running,
        setting: Setting,
        events: Events,
        memory_bytes: int,
        on_event: OnEvent,
        conditions: ConditionsWatch,
    ) -> None:
        self._process = process
        self._folder = setting.folder
        self._events = events
        self._limits = setting.limits
        self._memory_bytes = memory_bytes
        self._on_event = on_event
        self._conditions = conditions

    def wait(self, timeout_s: float, cancel: Event) -> Hit | None:
        """Wait for its end, or a limit.

        Raises:
            InterruptedRun: `cancel` was set.
        """
        deadline = time.monotonic() + timeout_s
        next_look = 0.0
        while self._process.poll() is None:
            hit = self.pass_on()
            self._conditions.look()
            now = time.monotonic()
            if hit is None and now > deadline:
                hit = Hit("time", f"still running after {timeout_s:g} s")
            if hit is None and now > next_look:
                hit = self._used()
                next_look = now + _LOOK_S
            if hit is not None:
                return hit
            if cancel.wait(_POLL_S):
                raise InterruptedRun
        return None

    def pass_on(self) -> Hit | None:
        """Read what has been said, and tell whoever listens."""
        seen, hit = len(self._events.seen), None
        try:
            self._events.read()
        except UnusableEventsError as error:
            hit = Hit("answer", str(error))
        for event in self._events.seen[seen:]:
            self._conditions.event(event)
            self._on_event(event)
        return hit

    def _used(self) -> Hit | None:
        limits, processes = self._limits, processes_of(self._process.pid)
        if len(processes) > limits.processes:
            return Hit(
                "processes", f"{len(processes)} processes at once, more than {limits.processes}"
            )
        used = resident(processes)
        if used > self._memory_bytes:
            return Hit(
                "memory",
                f"used {used / _GIB:.1f} GiB of resident memory, "
                f"more than the {self._memory_bytes / _GIB:.1f} GiB allowed",
            )
        if _written(self._folder, limits.folder_bytes) > limits.folder_bytes:
            return Hit("disk", f"wrote more than the {limits.folder_bytes / _GIB:.1f} GiB allowed")
        return None


def _written(folder: Path, enough: int) -> int:
    """Return what a folder's files take on disk, bytes, or a part of it that is more than `enough`."""
    taken, folders = 0, [os.fspath(folder)]
    while folders and taken <= enough:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    taken += entry.stat(follow_symlinks=False).st_blocks * 512
        except OSError:
            continue  # Gone meanwhile, or made unreadable.
    return taken
