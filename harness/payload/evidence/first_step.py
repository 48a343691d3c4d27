"""The first step taken apart: batch, activations, loss, gradients and update, as tensors in one file.

Only where the job asks for it. Hooks copy what passes and change nothing: a run with this evidence is
bitwise equal to one without.
"""

import json
from typing import Any

import torch
from safetensors.torch import save_file
from transformers import TrainerCallback

from .parts import is_vision

LARGEST_TENSOR = 2**20
"""Bytes that are kept of one tensor; beyond, every 2nd, 4th, 8th ... value of the last dimension."""
FLOAT16_LARGEST = 65504.0
_PARTS = (
    "input_layernorm",
    "self_attn",
    "post_attention_layernorm",
    "pre_feedforward_layernorm",
    "mlp",
    "post_feedforward_layernorm",
)
_BATCH = ("input_ids", "labels", "attention_mask", "position_ids")


class FirstStepEvidence(TrainerCallback):  # type: ignore[misc]
    """Keeps the first evaluation batch, the first training micro-batch and the first real update.

    Gradients are those of the first micro-batch, before clipping, without a GradScaler's factor. The
    update is that of the first step with a learning rate above 0.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._trainer: Any = None
        self._parameters: dict[str, Any] = {}
        self._hooks: list[Any] = []
        self._phase: str | None = None
        self._seen: set[str] = set()
        self._tensors: dict[str, Any] = {}
        self._entries: list[dict[str, Any]] = []
        self._before: dict[str, Any] | None = None
        self._updated = False

    def attach(self, trainer: Any) -> None:
        """Hook the model, and wrap the trainer's steps, before any other collector does."""
        self._trainer, model = trainer, trainer.model
        self._parameters = {
            _adapter_name(name): p for name, p in model.named_parameters() if p.requires_grad
        }
        self._hooks = [
            model.register_forward_pre_hook(self._before_model, with_kwargs=True),
            # First in line: another collector's extra forward comes after the evidence is closed.
            model.register_forward_hook(self._after_model),
        ]
        head = model.get_output_embeddings()
        for name, module in model.named_modules():
            short = "logits" if module is head else _activation_name(name)
            if short is not None:
                self._hooks.append(module.register_forward_hook(self._after_module(short)))
        trainer.prediction_step = self._watched("evaluation", trainer.prediction_step)
        trainer.training_step = self._watched("training", trainer.training_step)

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Keep the adapter before the first step that can move it."""
        rate = float(self._trainer.optimizer.param_groups[0]["lr"])
        if not self._updated and rate > 0:
            self._before = {n: p.detach().clone() for n, p in self._parameters.items()}

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Keep what that step did."""
        if self._before is not None and not self._updated:
            for name, parameter in self._parameters.items():
                moved = parameter.detach().float() - self._before[name].float()
                self._keep("training", "update", name, moved)
            self._updated, self._before = True, None

    def write(self) -> None:
        """Take the hooks away and write the file."""
        for hook in self._hooks:
            hook.remove()
        weights = {
            _dtype(p)
            for name, p in self._trainer.model.named_parameters()
            if not p.requires_grad and p.is_floating_point() and not is_vision(name)
        }
        about = {"schema": 1, "weights": sorted(weights), "entries": self._entries}
        save_file(self._tensors, self._path, metadata={"first_step": json.dumps(about)})

    def _watched(self, phase: str, original: Any) -> Any:
        def step(model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
            if phase in self._seen:
                return original(model, inputs, *args, **kwargs)
            self._seen.add(phase)
            if phase == "training":
                for name, parameter in self._parameters.items():
                    self._keep(phase, "adapter", name, parameter)
                self._number(phase, "normaliser", kwargs.get("num_items_in_batch", args[:1]))
            for name in _BATCH:
                # What a trainer takes out of the batch before the model sees it.
                if name in inputs and getattr(inputs[name], "ndim", 0) == 2:
                    self._keep(phase, "batch", name, inputs[name])
            self._phase = phase
            try:
                result = original(model, inputs, *args, **kwargs)
            finally:
                self._phase = None
            self._number(phase, "loss", result[0] if isinstance(result, tuple) else result)
            if phase == "training":
                self._gradients()
            return result

        return step

    def _before_model(self, module: Any, args: Any, kwargs: dict[str, Any]) -> None:
        if self._phase is None:
            return
        for name in _BATCH:
            if getattr(kwargs.get(name), "ndim", 0) == 2:
                self._keep(self._phase, "batch", name, kwargs[name], again=True)

    def _after_model(self, module: Any, args: Any, output: Any) -> None:
        self._phase = None

    def _after_module(self, name: str) -> Any:
        def hook(module: Any, args: Any, output: Any) -> None:
            tensor = output[0] if isinstance(output, tuple) else output
            if self._phase is not None and isinstance(tensor, torch.Tensor):
                self._keep(self._phase, "activation", name, tensor)

        return hook

    def _gradients(self) -> None:
        scaler = getattr(self._trainer.accelerator, "scaler", None)
        scale = scaler.get_scale() if scaler is not None and scaler.is_enabled() else 1.0
        # As the backward pass goes: from the last layer to the first.
        for name, parameter in reversed(self._parameters.items()):
            if parameter.grad is not None:
                self._keep("training", "gradient", name, parameter.grad.float() / scale)

    def _number(self, phase: str, kind: str, value: Any) -> None:
        value = value[0] if isinstance(value, tuple) and value else value
        if isinstance(value, torch.Tensor) and value.numel() == 1:
            self._keep(phase, kind, kind, value.reshape(1))
        elif isinstance(value, (int, float)):
            self._keep(phase, kind, kind, torch.tensor([value]))

    def _keep(self, phase: str, kind: str, name: str, tensor: Any, *, again: bool = False) -> None:
        key = f"{phase}/{kind}/{name}"
        if key in self._tensors and not again:
            return
        tensor = tensor.detach()
        stride, entry = 1, dict[str, Any](phase=phase, kind=kind, name=name, dtype=_dtype(tensor))
        if tensor.is_floating_point():
            while 4 * tensor.numel() / stride > LARGEST_TENSOR and stride < tensor.shape[-1]:
                stride *= 2
            # In float32: bfloat16 would round the limit itself to 65536.
            entry["saturated"] = int((tensor.float().abs() == FLOAT16_LARGEST).sum())
        kept = torch.float32 if tensor.is_floating_point() else torch.int64
        if key not in self._tensors:
            self._entries.append({**entry, "stride": stride})
        self._tensors[key] = tensor[..., ::stride].to("cpu", kept, copy=True).contiguous()


def _activation_name(name: str) -> str | None:
    """Return `layers.3.mlp` of a module's full name, None for a module that is not watched."""
    if is_vision(name):
        return None
    number, _, part = name.rpartition("layers.")[2].partition(".")
    if ".layers." in name:
        return f"layers.{number}.{part}".strip(".") if not part or part in _PARTS else None
    last = name.rpartition(".")[2]
    return last if last in {"embed_tokens", "norm"} else None


def _adapter_name(name: str) -> str:
    return "layers." + name.rpartition("layers.")[2].removesuffix(".weight").removesuffix(
        ".default"
    )


def _dtype(tensor: Any) -> str:
    return str(tensor.dtype).removeprefix("torch.")
