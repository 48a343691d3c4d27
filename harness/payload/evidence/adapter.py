"""What training did to the trainable parameters."""

import hashlib
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from .parts import is_vision
from .tensor_bytes import raw_bytes


class AdapterEvidence:
    """Keeps the adapter as it was before training, and compares."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self._parameters = {
            name: parameter
            for name, parameter in model.named_parameters()
            if parameter.requires_grad
        }
        self._before = {name: p.detach().clone() for name, p in self._parameters.items()}

    @contextmanager
    def as_before(self) -> Iterator[None]:
        """Put the adapter of before training back for a while."""
        now = {name: p.detach().clone() for name, p in self._parameters.items()}
        self._write(self._before)
        try:
            yield
        finally:
            self._write(now)

    @torch.no_grad()
    def _write(self, values: dict[str, Any]) -> None:
        for name, parameter in self._parameters.items():
            parameter.copy_(values[name])

    def result(self) -> dict[str, Any]:
        """Return the fields of `harness.record.Adapter`."""
        moved = {
            name: not torch.equal(self._before[name], parameter.detach())
            for name, parameter in self._parameters.items()
        }
        # All of the model's: one that lost requires_grad is part of the adapter still.
        lora_b = [name for name, _ in self._model.named_parameters() if ".lora_B." in name]
        updates = [
            (parameter.detach().float() - self._before[name].float()).abs().max().item()
            for name, parameter in self._parameters.items()
        ]
        return {
            "trainable_parameters": sum(p.numel() for p in self._parameters.values()),
            "digest_before": _digest(self._before),
            "digest_after": _digest(self._parameters),
            "lora_b_tensors": len(lora_b),
            "lora_b_moved": sum(moved.get(name, False) for name in lora_b),
            "lora_b_frozen": sum(name not in moved for name in lora_b),
            "finite": all(bool(torch.isfinite(p).all()) for p in self._parameters.values()),
            "max_abs_update": max(updates, default=0.0),
            "lora": _lora(self._model),
        }


def _lora(model: Any) -> list[dict[str, Any]]:
    """Count the adapted layers of the language model by projection and settings."""
    found: Counter[tuple[str, int, float, float]] = Counter()
    for name, module in model.named_modules():
        if is_vision(name) or not getattr(module, "lora_A", None):
            continue
        for adapter in module.lora_A:
            dropout = float(getattr(module.lora_dropout[adapter], "p", 0.0))
            settings = (module.r[adapter], float(module.scaling[adapter]), dropout)
            found[(name.rpartition(".")[2], *settings)] += 1
    return [
        {"module": module, "layers": layers, "r": r, "scaling": scaling, "dropout": dropout}
        for (module, r, scaling, dropout), layers in sorted(found.items())
    ]


def _digest(tensors: dict[str, Any]) -> str:
    sha = hashlib.sha256()
    for name in sorted(tensors):
        sha.update(name.encode())
        sha.update(raw_bytes(tensors[name]))
    return sha.hexdigest()[:16]
