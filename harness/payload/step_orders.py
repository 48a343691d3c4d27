"""The trainer's side of a paced run: stop before each step until it is ordered, and time it."""

import time
from typing import Any

import torch
from transformers import TrainerCallback

from .channel import Channel
from .faults import FaultContext


class OrdersEnded(Exception):  # noqa: N818 - the normal end of a paced run
    """Nobody will order another step."""


class StepOrders(TrainerCallback):  # type: ignore[misc]
    """Holds the trainer between steps; what it does beside them (logs, data) is done before it answers."""

    def __init__(self, channel: Channel, fault: FaultContext, *, on_gpu: bool) -> None:
        self._channel = channel
        self._fault = fault
        self._on_gpu = on_gpu
        self._trainer: Any = None
        self._left = 0
        self._evaluate = False
        self._steps_s: list[float] = []
        self._started = 0.0

    def attach(self, trainer: Any) -> None:
        """Evaluate with this trainer."""
        self._trainer = trainer

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Say that everything up to the first step is done."""
        self._channel.say(ready=True)

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Answer the last order if it is carried out, wait for the next, and start the clock.

        Raises:
            OrdersEnded: There is no next one.
        """
        while not self._left:
            if self._steps_s or self._evaluate:
                evaluation_s = self._evaluation() if self._evaluate else None
                self._channel.say(steps_s=self._steps_s, evaluation_s=evaluation_s)
            order = self._channel.order()
            if order is None:
                raise OrdersEnded
            self._left, self._evaluate = order["steps"], order["evaluate"]
            self._fault.level = order["level"]
            self._steps_s = []
        self._started = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Stop the clock when the device has finished."""
        self._synchronise()
        self._steps_s.append(time.perf_counter() - self._started)
        self._left -= 1

    def _evaluation(self) -> float:
        started = time.perf_counter()
        self._trainer.evaluate()
        self._synchronise()
        return time.perf_counter() - started

    def _synchronise(self) -> None:
        if self._on_gpu:
            torch.cuda.synchronize()
