"""A process that trains one step at a time, as it is ordered: what two stacks taking turns are made of."""

import os
import subprocess
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from harness.abandoned import work_folder
from harness.collect import read_events
from harness.errors import PacedRunError
from harness.experiment import Experiment
from harness.processes.channel import Channel
from harness.processes.process import kill_group, tail
from harness.processes.surroundings import start_payload

_START_LIMIT_S = 600.0
_NICE = -20


@dataclass(frozen=True)
class Turn:
    """What one order took: wall seconds of each step, and of the evaluation after them."""

    steps_s: tuple[float, ...]
    evaluation_s: float | None


class Paced:
    """One cell's process, waiting before its next step.

    Attributes:
        start_s: Wall seconds from the start of the process to its readiness for the first step: import,
            load, patch, data.
        nice: The scheduling priority it has.
    """

    def __init__(self, experiment: Experiment, python: Path, cores: Sequence[int] = ()) -> None:
        """Start it and wait until it is ready.

        Args:
            experiment: Its inputs must be built.
            python: The stack's interpreter.
            cores: The logical cores it may use; any if empty.

        Raises:
            PacedRunError: It ended before; the message has its last output.
        """
        self._cell_id = experiment.cell.id
        self._folder = ExitStack()
        self._work_dir = self._folder.enter_context(work_folder("cell"))
        job_file, self._events = experiment.write_job(self._work_dir, paced=True)
        self._output = self._work_dir / "output.txt"
        self._limit_s = experiment.timeout_s
        started = time.perf_counter()
        with self._output.open("wb") as output:
            self._process = start_payload(
                python,
                job_file,
                work_dir=self._work_dir,
                threads=experiment.threads,
                gpu_uuid=experiment.target.gpu_uuid,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
            )
        self._channel = Channel(self._process)
        try:
            self.nice = _place(self._process.pid, cores)
            self._answer("its start", _START_LIMIT_S)
        except BaseException:
            self.close()
            raise
        self.start_s = time.perf_counter() - started

    def order(self, steps: int = 0, *, evaluate: bool = False, level: float = 0.0) -> Turn:
        """Have it train, and wait until it has.

        Args:
            steps: How many optimizer steps.
            evaluate: Whether to evaluate after them.
            level: Seconds that a slowdown of `fixtures/slowdowns` takes off each step.

        Raises:
            PacedRunError: It ended, or did not answer in the cell's time.
        """
        if not steps and not evaluate:
            raise ValueError("an order of nothing is never answered")
        try:
            self._channel.order(steps=steps, evaluate=evaluate, level=level)
        except OSError:
            raise self._failed("it ended before its next step") from None
        answer = self._answer("a step", self._limit_s)
        return Turn(tuple(answer["steps_s"]), answer["evaluation_s"])

    def close(self) -> None:
        """End it."""
        self._channel.close()
        kill_group(self._process)
        self._folder.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.close()

    def _answer(self, what: str, limit_s: float) -> dict[str, Any]:
        answer = self._channel.answer(limit_s)
        if answer is None:
            raise self._failed(f"no answer to {what} after {limit_s:g} s")
        if not answer:
            raise self._failed(f"it ended during {what}")
        return answer

    def _failed(self, message: str) -> PacedRunError:
        failures = [e for e in read_events(self._events)[0] if e["event"] == "failure"]
        if failures:
            message += f": {failures[0]['kind']} in phase {failures[0]['phase']}"
        return PacedRunError(f"{self._cell_id}: {message}; its last output:\n{tail(self._output)}")


def _place(pid: int, cores: Sequence[int]) -> int:
    """Confine a process that has just started, put it before all others, and return its priority."""
    if cores and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(pid, cores)
    try:
        os.setpriority(os.PRIO_PROCESS, pid, _NICE)
    except PermissionError:
        pass  # Only root may, or one with CAP_SYS_NICE.
    return os.getpriority(os.PRIO_PROCESS, pid)
