"""Per evaluation: what the trainer reports, beside figures computed from the logits apart from it."""

import math
import time
from typing import Any

import torch
from transformers import TrainerCallback

from ..events import EventLog
from ..phases import Phases
from .logits import head_takes_any_stream, summed_cross_entropy
from .sequences import IGNORED, sequences

# A cache would let rows of a batch without padding see each other.
_MODEL_INPUTS = ("input_ids", "attention_mask", "position_ids", "token_type_ids", "use_cache")


class EvaluationEvidence(TrainerCallback):  # type: ignore[misc]
    """Watches the model's forward during evaluation and emits an `evaluation` event after it.

    The token loss is the cross-entropy of every supervised token in float32, so it is independent of
    the trainer's loss function and of its averaging over batches. Where a fused loss keeps the logits
    from the caller, one more forward without labels gets them.
    """

    def __init__(self, events: EventLog, phases: Phases) -> None:
        self._events = events
        self._phases = phases
        self._trainer: Any = None
        self._hook: Any = None
        self._inputs: Any = None
        self._evaluating = False
        self._started = 0.0
        self._clear()

    def attach(self, trainer: Any) -> None:
        """Hook the model and mark when the trainer evaluates."""
        self._trainer = trainer
        self._hook = trainer.model.register_forward_hook(self._forward, with_kwargs=True)
        original, prediction_step = trainer.evaluate, trainer.prediction_step

        def evaluate(*args: Any, **kwargs: Any) -> Any:
            self._clear()
            self._evaluating = True
            try:
                with self._phases.within("eval"):
                    self._started = time.perf_counter() - self._phases.aside_s
                    return original(*args, **kwargs)
            finally:
                self._evaluating = False

        def step(model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
            # Some losses take the labels out before the model sees them.
            self._inputs = dict(inputs)
            return prediction_step(model, inputs, *args, **kwargs)

        trainer.evaluate, trainer.prediction_step = evaluate, step

    def detach(self) -> None:
        """Take the hook away."""
        self._hook.remove()

    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: Any = None, **_: Any
    ) -> None:
        """Emit the evaluation as the trainer reports it, with the independent figures."""
        eval_loss = (metrics or {}).get("eval_loss")
        tokens = sum(batch["tokens"] for batch in self._batches)
        loss = sum(batch["loss"] for batch in self._batches)
        token_loss = loss / tokens if tokens else None
        self._events.emit(
            "evaluation",
            step=state.global_step,
            epoch=state.epoch or 0.0,
            eval_loss=None if eval_loss is None else float(eval_loss),
            token_loss=token_loss,
            perplexity=_perplexity(token_loss),
            token_accuracy=self._correct / tokens if tokens else None,
            tokens=tokens,
            batches=self._batches,
            row_losses=self._row_losses,
            wall_s=time.perf_counter() - self._phases.aside_s - self._started,
        )

    def _clear(self) -> None:
        self._batches: list[dict[str, Any]] = []
        self._correct = 0
        self._row_losses: list[float | None] = []

    @torch.no_grad()
    def _forward(self, model: Any, args: Any, kwargs: Any, output: Any) -> None:
        batch, self._inputs = self._inputs, None
        if not self._evaluating or batch is None or batch.get("labels") is None:
            return
        # What this takes is neither time nor memory of the evaluation's.
        with self._phases.aside():
            self._take(model, kwargs, batch, output)

    def _take(self, model: Any, kwargs: Any, batch: Any, output: Any) -> None:
        labels = batch["labels"]
        logits = getattr(output, "logits", None)
        if not isinstance(logits, torch.Tensor) or logits.shape[:-1] != labels.shape:
            logits = self._logits_without_labels(model, kwargs)
            if logits is None:
                return
        labels = labels.to(logits.device)
        targets = labels[:, 1:]
        supervised = targets != IGNORED
        self._correct += int((logits[:, :-1].argmax(-1) == targets)[supervised].sum())
        losses = [
            summed_cross_entropy(row, wanted)
            for row, wanted in zip(logits[:, :-1], targets, strict=True)
        ]
        counts = supervised.sum(-1).tolist()
        rows = sum(1 for _ in sequences(batch))
        self._batches.append(
            {
                "loss": sum(losses),
                "tokens": sum(counts),
                "labels": int((labels != IGNORED).sum()),
                "rows": rows,
            }
        )
        if rows == len(losses):  # else rows share a sequence
            self._row_losses += [s / n if n else None for s, n in zip(losses, counts, strict=True)]

    def _logits_without_labels(self, model: Any, kwargs: dict[str, Any]) -> Any:
        inputs = {name: kwargs[name] for name in _MODEL_INPUTS if name in kwargs}
        try:
            with head_takes_any_stream(model):
                return model(**inputs).logits
        except RuntimeError as error:
            # The figures stay None, and the trainer's own evaluation goes on.
            print(f"no logits apart from the trainer: {error}")  # noqa: T201 - the record's output
            return None


def _perplexity(loss: float | None) -> float | None:
    if loss is None:
        return None
    return math.exp(loss) if loss < 700 else math.inf
