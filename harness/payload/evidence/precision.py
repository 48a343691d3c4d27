"""The dtypes that are really used, seen by hooks during training, and how large activations get."""

from collections import Counter
from typing import Any

import torch

from .parts import is_vision


class PrecisionEvidence:
    """Watches the decoder layers and the head. Figures are of the training forward only."""

    def __init__(self, device: str) -> None:
        self._device = device
        self._hooks: list[Any] = []
        self._model: Any = None
        self._trainer: Any = None
        self._autocast: str | None = None
        self._layer_dtypes: dict[str, str] = {}
        self._largest: dict[str, Any] = {}
        self._train_logits: str | None = None
        self.head_ran = False
        self.model_inputs: list[str] = []

    def attach(self, model: Any, trainer: Any) -> None:
        """Hook every decoder layer and the output head."""
        self._model, self._trainer = model, trainer
        layers = {
            name: module
            for name, module in model.named_modules()
            if type(module).__name__.endswith("DecoderLayer")
        }
        if not layers:
            raise RuntimeError(f"no decoder layer found in {type(model).__name__}")
        self._hooks.append(model.register_forward_pre_hook(self._before_model, with_kwargs=True))
        first = next(iter(layers.values()))
        self._hooks.append(first.register_forward_pre_hook(self._before_first_layer))
        for name, module in layers.items():
            short = "layers." + name.rsplit(".", 1)[-1]
            self._hooks.append(module.register_forward_hook(self._layer_hook(short)))
        head = model.get_output_embeddings()
        if head is not None:
            self._hooks.append(head.register_forward_hook(self._after_head))

    def detach(self) -> None:
        """Take every hook away."""
        for hook in self._hooks:
            hook.remove()

    def result(self) -> dict[str, Any]:
        """Return the fields of `harness.record.Precision`."""
        import os

        parameters = list(self._model.named_parameters())
        frozen = [(name, p) for name, p in parameters if not p.requires_grad]
        return {
            "weights": _dtypes(p for name, p in frozen if not is_vision(name)),
            "vision_weights": _dtypes(p for name, p in frozen if is_vision(name)),
            "lora": _dtypes(p for _, p in parameters if p.requires_grad),
            "activations": dict(Counter(self._layer_dtypes.values())),
            "logits": self._train_logits or "not materialised",
            "autocast": self._autocast,
            "max_abs_activation": {name: float(value) for name, value in self._largest.items()},
            "args_bf16": bool(self._trainer.args.bf16),
            "args_fp16": bool(self._trainer.args.fp16),
            "force_float32": os.environ.get("UNSLOTH_FORCE_FLOAT32"),
        }

    def _before_model(self, module: Any, args: Any, kwargs: dict[str, Any]) -> None:
        if module.training:
            self.model_inputs = sorted(name for name in kwargs if kwargs[name] is not None)

    def _before_first_layer(self, module: Any, args: Any) -> None:
        if module.training:
            self._autocast = _autocast(self._device)

    def _layer_hook(self, name: str) -> Any:
        def hook(module: Any, args: Any, output: Any) -> None:
            if not module.training:
                return
            hidden = (output[0] if isinstance(output, tuple) else output).detach()
            self._layer_dtypes[name] = _name(hidden.dtype)
            largest = torch.linalg.vector_norm(hidden, ord=float("inf"), dtype=torch.float32)
            before = self._largest.get(name)
            # torch.maximum keeps a NaN; the copy stays on the device, so nothing waits for a GPU.
            self._largest[name] = largest if before is None else torch.maximum(before, largest)

        return hook

    def _after_head(self, module: Any, args: Any, output: Any) -> None:
        if module.training:
            self.head_ran = True
            self._train_logits = _name(output.dtype)


def _name(dtype: Any) -> str:
    return str(dtype).removeprefix("torch.")


def _dtypes(parameters: Any) -> dict[str, int]:
    return dict(Counter(_name(parameter.dtype) for parameter in parameters))


def _autocast(device: str) -> str:
    # torch before 2.4 has one question per device instead of an argument.
    if device == "cpu" and not hasattr(torch, "get_autocast_dtype"):
        return _name(torch.get_autocast_cpu_dtype()) if torch.is_autocast_cpu_enabled() else "off"
    if not torch.is_autocast_enabled(device):
        return "off"
    return _name(torch.get_autocast_dtype(device))
