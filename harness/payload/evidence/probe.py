"""Losses and logits computed apart from the trainer, after training: what its figures must agree with.

Everything is put back: the trained adapter, training modes, dropout and the random state.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from ..events import EventLog
from ..phases import Phases
from .activation_memory import activation_memory
from .adapter import AdapterEvidence
from .logits import head_takes_any_stream, largest_difference, summed_cross_entropy
from .sequences import Sequence, sequences

_LONGEST = 512
"""Tokens of the row whose last quarter is changed: two of its logits are held at once."""


class Probe:
    """Keeps step 1's batches, and takes them through the model once more after training."""

    def __init__(self, trainer: Any, adapter: AdapterEvidence, phases: Phases) -> None:
        self._phases = phases
        self._trainer = trainer
        self._adapter = adapter
        self._batches: list[list[Sequence]] = []
        self._items: float | None = None

    def see(self, inputs: Any, num_items_in_batch: Any) -> None:
        """Keep a micro-batch of step 1 as it reaches `training_step`."""
        if self._trainer.state.global_step == 0:
            copy = {
                name: value.detach().clone()
                for name, value in inputs.items()
                if isinstance(value, torch.Tensor)
            }
            self._batches.append(list(sequences(copy)))
            if num_items_in_batch is not None:
                self._items = float(num_items_in_batch)

    def run(self, events: EventLog) -> None:
        """Compute, and emit the fields of `harness.record.Probe` as `probe`."""
        model = self._trainer.model
        problem = None
        figures: dict[str, Any] = {}
        with _put_back(model), torch.no_grad(), head_takes_any_stream(model):
            try:
                figures = self._figures(model)
            except (RuntimeError, TypeError, ValueError) as error:
                # A release whose model does not run without labels is no failed fine-tune.
                problem = f"{type(error).__name__}: {error}"[:500]
        events.emit("probe", items=self._items, problem=problem, **figures)

    def _memory(self, model: Any) -> dict[str, Any]:
        # No other peak of this phase is lost, nor has it this one.
        with self._phases.aside(), self._trainer.compute_loss_context_manager():
            return activation_memory(model, self._batches[0][0])

    def _figures(self, model: Any) -> dict[str, Any]:
        model.eval()
        with self._adapter.as_before():
            first = [self._batch_loss(batch) for batch in self._batches]
        rows = self._batches[0]
        longest = max(rows, key=lambda row: row.ids.numel())
        evaluation = self._batch_loss(rows)["loss"]
        moved = {"evaluation": self._moved_by_later(longest)}
        model.train()
        _switch_dropout_off(model)
        training = self._batch_loss(rows)["loss"]
        moved["training"] = self._moved_by_later(longest)
        tokens = sum(row.supervised for row in rows)
        return {
            "first_step": first,
            "train_mode_loss": training / tokens if tokens else None,
            "eval_mode_loss": evaluation / tokens if tokens else None,
            "moved_by_later": moved,
            "activation_memory": self._memory(model),
        }

    def _batch_loss(self, rows: list[Sequence]) -> dict[str, Any]:
        return {
            "loss": sum(summed_cross_entropy(self._logits(row)[:-1], row.targets) for row in rows),
            "tokens": sum(row.supervised for row in rows),
            "labels": sum(int((row.labels != -100).sum()) for row in rows),
            "rows": len(rows),
        }

    def _moved_by_later(self, row: Sequence) -> float:
        """Return how far earlier logits move when the last quarter is changed, relative to the largest."""
        ids = row.ids[:_LONGEST]
        cut = ids.numel() - ids.numel() // 4
        # Tokens of its own: any other could be an image's.
        other = torch.cat([ids[:cut], ids.flip(0)[: ids.numel() - cut]])
        other[cut:] = torch.where(other[cut:] == ids[cut:], ids[1], other[cut:])
        types = None if row.types is None else row.types[:_LONGEST]
        here, there = (self._logits(Sequence(i, i, types, row.masked))[:cut] for i in (ids, other))
        moved, size = largest_difference(here, there)
        return moved / size if size > 0 else math.nan

    def _logits(self, row: Sequence) -> Any:
        device = self._trainer.model.device
        inputs = {"input_ids": row.ids[None].to(device)}
        if row.masked:
            inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
        if row.types is not None:
            inputs["token_type_ids"] = row.types[None].to(device)
        with self._trainer.compute_loss_context_manager():
            return self._trainer.model(**inputs).logits[0]


def _switch_dropout_off(model: Any) -> None:
    for module in model.modules():
        if isinstance(module, torch.nn.modules.dropout._DropoutNd):
            module.p = 0.0
        if isinstance(getattr(module, "attention_dropout", None), float):
            module.attention_dropout = 0.0


@contextmanager
def _put_back(model: Any) -> Iterator[None]:
    modules = list(model.modules())
    modes = [module.training for module in modules]
    rates = [
        (module, name, getattr(module, name))
        for module in modules
        for name in ("p", "attention_dropout")
        if isinstance(getattr(module, name, None), float)
    ]
    try:
        # Nothing here draws; an emulated card has no generator of its own to fork.
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        for module, mode in zip(modules, modes, strict=True):
            module.training = mode
        for module, name, rate in rates:
            setattr(module, name, rate)
