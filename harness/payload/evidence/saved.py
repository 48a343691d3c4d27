"""Figures of what is saved and loaded again: adapter, optimizer state and tokenizer, by value."""

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from .tensor_bytes import raw_bytes

# Wrappers of peft and of transformers' releases, and the name that peft leaves out of its files.
_WRAPPERS = {"base_model", "model", "language_model", "default"}


# As safetensors writes them.
_NAMES = {"F32": "float32", "F16": "float16", "BF16": "bfloat16", "U8": "uint8"}


def adapter(model: Any) -> dict[str, Any]:
    """Return the LoRA tensors of a model by names that memory and files have in common."""
    return {
        _stem(name): parameter.detach()
        for name, parameter in model.named_parameters()
        if ".lora_" in name
    }


def saved_adapter(folder: str) -> dict[str, Any]:
    """Return the tensors of an adapter that peft saved, by the same names."""
    with safe_open(Path(folder) / "adapter_model.safetensors", framework="pt") as file:
        return {_stem(name): file.get_tensor(name) for name in file.keys()}  # noqa: SIM118


def optimizer_state(optimizer: Any) -> dict[str, Any]:
    """Return every tensor of an optimizer's state as `PARAMETER.NAME`."""
    return _flat(optimizer.state_dict())


def saved_optimizer_state(folder: str) -> dict[str, Any]:
    """Return those of a trainer's checkpoint."""
    file = Path(folder) / "optimizer.pt"
    return _flat(torch.load(file, map_location="cpu", weights_only=True))


def digest(tensors: dict[str, Any]) -> str:
    """Return sixteen hex digits over names, dtypes and bytes."""
    sha = hashlib.sha256()
    for name in sorted(tensors):
        sha.update(f"{name} {tensors[name].dtype}".encode())
        sha.update(raw_bytes(tensors[name]))
    return sha.hexdigest()[:16]


def difference(judged: dict[str, Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of `harness.record.Difference`."""
    both = [name for name in wanted if name in judged]
    errors = {name: _relative(judged[name], wanted[name]) for name in both}
    where = max(both, key=lambda name: errors[name], default="")
    return {
        "tensors": len(both),
        "missing": [name for name in wanted if name not in judged],
        "unexpected": [name for name in judged if name not in wanted],
        "largest": errors.get(where),
        "where": where if errors.get(where) else "",
    }


def tokenizer_figures(tokenizer: Any) -> dict[str, Any]:
    """Return the fields of `harness.record.Tokenizer`."""
    parts = [
        sorted(tokenizer.get_vocab().items()),
        sorted((name, str(value)) for name, value in tokenizer.special_tokens_map.items()),
        tokenizer.chat_template,
    ]
    text = json.dumps(parts, ensure_ascii=False)
    return {
        "digest": hashlib.sha256(text.encode()).hexdigest()[:16],
        "eos_token": tokenizer.eos_token,
    }


def dtypes(model: Any) -> dict[str, dict[str, int]]:
    """Return how many tensors have which dtype: the model's as `dtypes`, the adapter's as `lora`."""
    counts: dict[str, Counter[str]] = {"dtypes": Counter(), "lora": Counter()}
    for name, parameter in model.named_parameters():
        part = "lora" if ".lora_" in name else "dtypes"
        counts[part][str(parameter.dtype).removeprefix("torch.")] += 1
    return {part: dict(count) for part, count in counts.items()}


def file_dtypes(folder: str) -> dict[str, int]:
    """Return how many tensors of a folder's safetensors files have which dtype."""
    found: Counter[str] = Counter()
    for path in Path(folder).glob("*.safetensors"):
        with safe_open(path, framework="pt") as file:
            found.update(file.get_slice(name).get_dtype() for name in file.keys())  # noqa: SIM118
    return {_NAMES.get(name, name): count for name, count in found.items()}


def _stem(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in _WRAPPERS)


def _flat(state: dict[str, Any]) -> dict[str, Any]:
    return {
        f"{number}.{name}": value
        for number, fields in state["state"].items()
        for name, value in fields.items()
        if isinstance(value, torch.Tensor)
    }


def _relative(judged: Any, wanted: Any) -> float:
    if judged.shape != wanted.shape:
        return float("inf")
    judged, wanted = judged.cpu().double(), wanted.cpu().double()
    if torch.equal(judged.nan_to_num(), wanted.nan_to_num()):
        return 0.0
    error = torch.linalg.vector_norm(judged - wanted) / torch.linalg.vector_norm(wanted)
    # NaN in one of the two, or a zero tensor that is not zero any more.
    return float(error.nan_to_num(nan=float("inf")))
