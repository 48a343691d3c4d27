"""Processes that have imported a stack, and fork a child for each cell: a cell costs its training.

One process runs one cell at a time in a folder that is put back, before each cell, to what the import
left: libraries read the places of their caches when they are imported. Only where no GPU computes, for a
CUDA context does not survive a fork, and where the import left no thread whose locks would stay held.
"""

import json
import shutil
import signal
import subprocess
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event, Lock
from typing import Any

from harness.abandoned import work_folder
from harness.experiment import Experiment
from harness.processes.channel import Channel
from harness.processes.payload import Setting, start_payload
from harness.processes.tree import kill_group, outer_pid
from harness.recipe import digest

_IMPORT_LIMIT_S = 600.0
_POLL_S = 0.1

Say = Callable[[str], None]


class CannotPreload(Exception):  # noqa: N818 - a fresh process does it instead
    """The stack cannot be imported once for many cells; the message is why."""


class Child:
    """A forked cell, with the part of `subprocess.Popen`'s interface that watching it needs.

    Attributes:
        pid: None where it was gone before it could be seen.
    """

    def __init__(self, pid: int | None, parent: "Preloaded") -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._parent = parent

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal; None while it runs."""
        if self.returncode is None:
            answer = self._parent.answer(0.0)
            if answer is not None:
                code = answer.get("exit")
                # Else the parent died, and took the child with it.
                self.returncode = code if isinstance(code, int) else -signal.SIGKILL
        return self.returncode

    def wait(self) -> int:
        """Wait for its end."""
        while self.poll() is None:
            time.sleep(0.01)
        assert self.returncode is not None
        return self.returncode

    def end(self) -> int:
        """Kill it and all it started, and return its exit code."""
        kill_group(self.pid)
        return self.wait()


class Preloaded:
    """One process with an imported stack.

    Raises:
        CannotPreload: It does not import, or leaves threads that a fork does not survive.
        InterruptedError: `cancel` was set.
    """

    def __init__(self, experiment: Experiment, python: Path, cancel: Event) -> None:
        self._folder = ExitStack()
        root = self._folder.enter_context(work_folder("cells"))
        self._template, spec = root / "imported", root / "spec.json"
        self.setting = replace(Setting.of(experiment, python, root, spec), bound=False)
        work_dir = self.setting.work_dir
        spec.write_text(
            json.dumps(
                {
                    "family": experiment.stack.family,
                    "hardware": experiment.target.for_payload(),
                    "work_dir": str(work_dir),
                    "output": str(work_dir / "import.txt"),
                }
            ),
            encoding="utf-8",
        )
        self._process = start_payload(
            self.setting,
            "--preload",
            spec,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self._channel = Channel(self._process.popen)
        self.is_alive = True
        try:
            if unsafe := self._first(cancel).get("unsafe", "it does not import"):
                raise CannotPreload(unsafe)
        except BaseException:
            self.close()
            raise
        shutil.copytree(work_dir, self._template, symlinks=True)

    def restore(self) -> None:
        """Put the folder back to what the import left."""
        for entry in self.setting.work_dir.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry, ignore_errors=True)
            else:
                entry.unlink()
        shutil.copytree(self._template, self.setting.work_dir, symlinks=True, dirs_exist_ok=True)

    def start(self, job_file: Path, output: Path) -> Child:
        """Fork a child for a job.

        Raises:
            CannotPreload: The process died.
        """
        try:
            self._channel.order(job=str(job_file), output=str(output))
        except OSError:
            self.is_alive = False
        answer = self.answer(_IMPORT_LIMIT_S) if self.is_alive else None
        pid = answer.get("pid") if answer else None
        if not isinstance(pid, int):
            self.is_alive = False
            raise CannotPreload("the process that imported it died")
        return Child(outer_pid(self._process.pid, pid), self)

    def answer(self, timeout_s: float) -> dict[str, Any] | None:
        """Return the next answer, None when none comes in time, an empty one at the end of all."""
        answer = self._channel.answer(timeout_s)
        self.is_alive = self.is_alive and answer != {}
        return answer

    def close(self) -> None:
        """End the process."""
        self.is_alive = False
        self._channel.close()
        self._process.end()
        self._folder.close()

    def _first(self, cancel: Event) -> dict[str, Any]:
        deadline = time.monotonic() + _IMPORT_LIMIT_S
        while time.monotonic() < deadline:
            answer = self.answer(_POLL_S)
            if answer is not None:
                return answer
            if cancel.is_set():
                raise InterruptedError
        raise CannotPreload(f"it was not imported after {_IMPORT_LIMIT_S:g} s")


class PreloadedPool:
    """Every preloaded process of a run, lent to one cell at a time."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._idle: dict[str, list[Preloaded]] = defaultdict(list)
        self._refused: dict[str, str] = {}
        self._lock = Lock()

    @contextmanager
    def lend(self, experiment: Experiment, python: Path, cancel: Event) -> Iterator[Preloaded]:
        """Lend a process that has imported the experiment's stack, its folder as the import left it.

        Raises:
            CannotPreload: This stack cannot be preloaded.
        """
        reads = [str(path) for path in experiment.inputs()]
        key = digest([str(python), experiment.target.for_payload(), experiment.threads, reads])
        with self._lock:
            if key in self._refused:
                raise CannotPreload(self._refused[key])
            process = self._idle[key].pop() if self._idle[key] else None
        if process is None:
            try:
                process = Preloaded(experiment, python, cancel)
            except CannotPreload as reason:
                with self._lock:
                    said = key in self._refused
                    self._refused[key] = str(reason)
                if not said:
                    self._say(f"{experiment.stack.name}: each cell imports it anew: {reason}")
                raise
        else:
            process.restore()
        try:
            yield process
        finally:
            if process.is_alive:
                with self._lock:
                    self._idle[key].append(process)
            else:
                process.close()

    def close(self) -> None:
        """End every process that is idle."""
        with self._lock:
            for processes in self._idle.values():
                for process in processes:
                    process.close()
            self._idle.clear()
