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

from pydantic import TypeAdapter, ValidationError

from harness.abandoned import work_folder
from harness.containment.returned import tail
from harness.errors import PacedRunError, first_problem
from harness.events import Events, UnusableEventsError
from harness.experiment import Experiment
from harness.processes.channel import Channel
from harness.processes.payload import Priority, Setting, start_payload
from harness.processes.process import OUTPUT_TAIL

_START_LIMIT_S = 600.0
_NICE = -20


@dataclass(frozen=True)
class Turn:
    """What one order took: wall seconds of each step, and of the evaluation after them."""

    steps_s: tuple[float, ...]
    evaluation_s: float | None


_TURN = TypeAdapter(Turn)


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
        folder = self._folder.enter_context(work_folder("cell"))
        setting = Setting.of(experiment, python, folder)
        job_file, events_file = experiment.write_job(setting.work_dir, paced=True)
        self._events, self._output = Events(events_file), setting.work_dir / "output.txt"
        self._limit_s = experiment.timeout_s
        started = time.perf_counter()
        with self._output.open("wb") as output:
            self._process = start_payload(
                setting,
                job_file,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                priority=Priority(tuple(cores), _NICE),
            )
        self._channel = Channel(self._process.popen)
        try:
            self._answer("its start", _START_LIMIT_S)
            self.nice = os.getpriority(os.PRIO_PROCESS, self._process.pid)
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
        try:
            return _TURN.validate_python(answer)
        except ValidationError as error:
            said = first_problem(error, "answer")
            raise self._failed(f"no answer to a step: {said.where}: {said.reason}") from None

    def close(self) -> None:
        """End it."""
        self._channel.close()
        self._process.end()
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
        try:
            self._events.read()
        except UnusableEventsError as error:
            message += f": {error}"
        failures = [event for event in self._events.seen if event["event"] == "failure"]
        if failures:
            message += f": {failures[0]['kind']} in phase {failures[0]['phase']}"
        said = tail(self._output, OUTPUT_TAIL)
        return PacedRunError(f"{self._cell_id}: {message}; its last output:\n{said}")
