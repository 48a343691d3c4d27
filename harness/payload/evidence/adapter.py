"""What training did to the trainable parameters."""

import hashlib
from typing import Any

import torch

from .tensor_bytes import raw_bytes


class AdapterEvidence:
    """Keeps the adapter as it was before training, and compares."""

    def __init__(self, model: Any) -> None:
        self._parameters = {
            name: parameter
            for name, parameter in model.named_parameters()
            if parameter.requires_grad
        }
        self._before = {name: p.detach().clone() for name, p in self._parameters.items()}

    def result(self) -> dict[str, Any]:
        """Return the fields of `harness.record.Adapter`."""
        moved = {
            name: not torch.equal(self._before[name], parameter.detach())
            for name, parameter in self._parameters.items()
        }
        lora_b = [name for name in moved if ".lora_B." in name]
        updates = [
            (parameter.detach().float() - self._before[name].float()).abs().max().item()
            for name, parameter in self._parameters.items()
        ]
        return {
            "trainable_parameters": sum(p.numel() for p in self._parameters.values()),
            "digest_before": _digest(self._before),
            "digest_after": _digest(self._parameters),
            "lora_b_tensors": len(lora_b),
            "lora_b_moved": sum(moved[name] for name in lora_b),
            "finite": all(bool(torch.isfinite(p).all()) for p in self._parameters.values()),
            "max_abs_update": max(updates, default=0.0),
        }


def _digest(tensors: dict[str, Any]) -> str:
    sha = hashlib.sha256()
    for name in sorted(tensors):
        sha.update(name.encode())
        sha.update(raw_bytes(tensors[name]))
    return sha.hexdigest()[:16]
