"""Per evaluation: what the trainer reports, beside figures computed from the logits apart from it."""

import math
import time
from typing import Any

import torch
from torch.nn import functional
from transformers import TrainerCallback

from ..events import EventLog

IGNORED = -100
_MODEL_INPUTS = ("input_ids", "attention_mask", "position_ids", "token_type_ids")


class EvaluationEvidence(TrainerCallback):  # type: ignore[misc]
    """Watches the model's forward during evaluation and emits an `evaluation` event after it.

    The token loss is the cross-entropy of every supervised token in float32, so it is independent of
    the trainer's loss function and of its averaging over batches. Where a fused loss keeps the logits
    from the caller, one more forward without labels gets them.
    """

    def __init__(self, events: EventLog) -> None:
        self._events = events
        self._trainer: Any = None
        self._hook: Any = None
        self._evaluating = False
        self._extra_forward = False
        self._started = 0.0
        self._clear()

    def attach(self, trainer: Any) -> None:
        """Hook the model and mark when the trainer evaluates."""
        self._trainer = trainer
        self._hook = trainer.model.register_forward_hook(self._forward, with_kwargs=True)
        original = trainer.evaluate

        def evaluate(*args: Any, **kwargs: Any) -> Any:
            self._clear()
            self._evaluating = True
            self._started = time.perf_counter()
            try:
                return original(*args, **kwargs)
            finally:
                self._evaluating = False

        trainer.evaluate = evaluate

    def detach(self) -> None:
        """Take the hook away."""
        self._hook.remove()

    def on_evaluate(
        self, args: Any, state: Any, control: Any, metrics: Any = None, **_: Any
    ) -> None:
        """Emit the evaluation as the trainer reports it, with the independent figures."""
        eval_loss = (metrics or {}).get("eval_loss")
        token_loss = self._loss / self._tokens if self._tokens else None
        self._events.emit(
            "evaluation",
            step=state.global_step,
            epoch=state.epoch or 0.0,
            eval_loss=None if eval_loss is None else float(eval_loss),
            token_loss=token_loss,
            perplexity=_perplexity(token_loss),
            token_accuracy=self._correct / self._tokens if self._tokens else None,
            tokens=self._tokens,
            wall_s=time.perf_counter() - self._started,
        )

    def _clear(self) -> None:
        self._loss, self._correct, self._tokens = 0.0, 0, 0

    @torch.no_grad()
    def _forward(self, model: Any, args: Any, kwargs: Any, output: Any) -> None:
        labels = kwargs.get("labels")
        if not self._evaluating or self._extra_forward or labels is None:
            return
        logits = getattr(output, "logits", None)
        if not isinstance(logits, torch.Tensor) or logits.shape[:-1] != labels.shape:
            logits = self._logits_without_labels(model, kwargs)
            if logits is None:
                return
        targets = labels[:, 1:].to(logits.device)
        supervised = targets != IGNORED
        predictions = logits[:, :-1][supervised].float()
        wanted = targets[supervised]
        self._loss += functional.cross_entropy(predictions, wanted, reduction="sum").item()
        self._correct += int((predictions.argmax(-1) == wanted).sum())
        self._tokens += wanted.numel()

    def _logits_without_labels(self, model: Any, kwargs: dict[str, Any]) -> Any:
        inputs = {name: kwargs[name] for name in _MODEL_INPUTS if name in kwargs}
        # On a card without bfloat16 some releases hand a float32 stream to a float16 head, which only
        # their fused loss takes ("float != Half").
        mended = model.get_output_embeddings().register_forward_pre_hook(_in_the_weights_dtype)
        self._extra_forward = True
        try:
            return model(**inputs).logits
        except RuntimeError as error:
            # The figures stay None, and the trainer's own evaluation goes on.
            print(f"no logits apart from the trainer: {error}")  # noqa: T201 - the record's output
            return None
        finally:
            self._extra_forward = False
            mended.remove()


def _in_the_weights_dtype(head: Any, args: Any) -> Any:
    weight = head.weight
    return (args[0].to(weight.dtype), *args[1:]) if weight.is_floating_point() else None


def _perplexity(loss: float | None) -> float | None:
    if loss is None:
        return None
    return math.exp(loss) if loss < 700 else math.inf
