"""Per optimizer step: loss, grad_norm, learning rate, wall time, tokens, memory, and whether it was applied."""

import time
from typing import Any

import torch
from torch.nn.utils import parameters_to_vector
from transformers import TrainerCallback

from .. import process_memory
from ..events import EventLog


class StepEvidence(TrainerCallback):  # type: ignore[misc]
    """Emits `plan` once and a `step` event after each logged step."""

    def __init__(self, events: EventLog) -> None:
        self._events = events
        self._trainer: Any = None
        self._trainable: list[Any] = []
        self._started = 0.0
        self._before: Any = None
        self._learning_rate = 0.0
        self._current: dict[str, Any] = {}
        self._raw_loss = 0.0
        self._tokens = 0
        self._shapes: set[tuple[int, ...]] = set()
        self._new_shape = False
        self._applied = 0
        self._skipped = 0
        self._scales: list[float] = []

    def attach(self, trainer: Any) -> None:
        """Watch what the trainer feeds the model, and what loss comes back unrounded."""
        self._trainer = trainer
        self._trainable = [p for p in trainer.model.parameters() if p.requires_grad]
        original = trainer.training_step

        def training_step(model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
            shape = tuple(inputs["input_ids"].shape)
            self._new_shape |= shape not in self._shapes
            self._shapes.add(shape)
            mask = inputs.get("attention_mask")
            self._tokens += int(inputs["input_ids"].numel() if mask is None else mask.sum())
            loss = original(model, inputs, *args, **kwargs)
            self._raw_loss += loss.item()
            return loss

        trainer.training_step = training_step

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Announce how much work there is."""
        self._events.emit("plan", steps=state.max_steps, epochs=args.num_train_epochs)

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Start the clock of an optimizer step."""
        self._raw_loss, self._tokens, self._new_shape = 0.0, 0, False
        self._learning_rate = float(self._trainer.optimizer.param_groups[0]["lr"])
        if self._before is None:
            self._before = self._parameters()
        self._started = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Stop it. Reading the raw loss has synchronised a GPU already."""
        wall_s = time.perf_counter() - self._started
        after = self._parameters()
        applied = self._was_applied(after)
        self._before = after
        self._applied += applied is True
        self._skipped += applied is False
        scaler = self._scaler()
        if scaler is not None:
            self._scales.append(float(scaler.get_scale()))
        self._current = {
            "step": state.global_step,
            "epoch": state.epoch,
            "wall_s": wall_s,
            "tokens": self._tokens,
            "memory_bytes": process_memory.in_use(),
            "new_shape": self._new_shape,
            "raw_loss": self._raw_loss,
            "applied": applied,
            "learning_rate": self._learning_rate,
        }

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """Join the trainer's own log line, as the user sees it, with the step's measurements."""
        if not self._current or not logs or "loss" not in logs:
            return
        self._events.emit(
            "step",
            **self._current,
            loss=float(logs["loss"]),
            grad_norm=_optional(logs.get("grad_norm")),
        )
        self._current = {}

    def scaler(self) -> dict[str, Any]:
        """Return the fields of `harness.record.Scaler`."""
        return {
            "enabled": self._scaler() is not None,
            "applied": self._applied,
            "skipped": self._skipped,
            "scale_first": self._scales[0] if self._scales else None,
            "scale_last": self._scales[-1] if self._scales else None,
        }

    def _was_applied(self, after: Any) -> bool | None:
        # The schedule waits while the scaler skips, so a run that never gets going stays at rate 0.
        if self._trainer.accelerator.optimizer_step_was_skipped:
            return False
        # A step at learning rate 0 (the first of a warm-up) moves nothing and shows nothing.
        return None if self._learning_rate == 0 else not torch.equal(self._before, after)

    def _parameters(self) -> Any:
        return parameters_to_vector(self._trainable).detach()

    def _scaler(self) -> Any:
        scaler = getattr(self._trainer.accelerator, "scaler", None)
        return scaler if scaler is not None and scaler.is_enabled() else None


def _optional(value: Any) -> float | None:
    return None if value is None else float(value)
