"""Whether the frozen base is the checkpoint's, stays so, and carries the adapter where it should.

A release that renames modules can leave part of a checkpoint unread and train on random weights
after a mere warning; an adapter can land on a vision tower that rows of text never reach.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from .parts import is_vision
from .tensor_bytes import raw_bytes

# Wrappers of peft and of transformers' releases: what is left of a name is the same in all of them.
_WRAPPERS = {"base_model", "model", "language_model", "vision_model", "base_layer"}
_ROUNDING = 1e-2
"""Relative error up to which a tensor is the checkpoint's in another dtype, not another tensor."""


class BaseWeightsEvidence:
    """Compares the base with its checkpoint before training, and with itself after."""

    def __init__(self, model: Any, model_dir: str) -> None:
        parameters = dict(model.named_parameters())
        self._frozen = {name: p for name, p in parameters.items() if not p.requires_grad}
        self._result = {
            "frozen": _parts(self._frozen),
            "trainable": _parts(name for name, p in parameters.items() if p.requires_grad),
            **_compare_files(self._frozen, list(parameters), _files(Path(model_dir))),
        }
        self._before = self._digests()

    def result(self) -> dict[str, Any]:
        """Return the fields of `harness.record.BaseWeights`."""
        after = self._digests()
        changed = [name for name in self._frozen if after[name] != self._before[name]]
        return {**self._result, "changed": changed}

    def _digests(self) -> dict[str, bytes]:
        return {name: hashlib.sha256(raw_bytes(p)).digest() for name, p in self._frozen.items()}


def _parts(names: Any) -> dict[str, int]:
    return dict(Counter("vision" if is_vision(name) else "language" for name in names))


def _compare_files(frozen: dict[str, Any], names: list[str], paths: list[Path]) -> dict[str, Any]:
    with ExitStack() as opened:
        files = [opened.enter_context(safe_open(path, framework="pt")) for path in paths]
        return _compare(frozen, names, files)


def _compare(frozen: dict[str, Any], names: list[str], files: list[Any]) -> dict[str, Any]:
    stored = {_stem(name): (name, file) for file in files for name in _names(file)}
    quantised, equal = 0, 0
    differing, not_in_checkpoint = [], []
    for name, parameter in frozen.items():
        stem = _stem(name)
        # A tied head is the embedding, and some releases keep a name of its own for it.
        found = stored.get(stem) or (stem == "lm_head.weight" and stored.get("embed_tokens.weight"))
        if not found:
            not_in_checkpoint.append(name)
        elif hasattr(parameter, "quant_state") or not parameter.is_floating_point():
            quantised += 1
        elif _same(parameter, *found):
            equal += 1
        else:
            differing.append(name)
    taken = {_stem(name) for name in names}
    return {
        "checkpoint_tensors": len(stored),
        "equal": equal,
        "quantised": quantised,
        "differing": differing,
        "not_in_checkpoint": not_in_checkpoint if files else [],
        "not_loaded": [name for stem, (name, _) in stored.items() if stem not in taken],
    }


def _files(folder: Path) -> list[Path]:
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        weight_map = json.loads(index.read_text(encoding="utf-8"))["weight_map"]
        return [folder / name for name in sorted(set(weight_map.values()))]
    return [file for file in [folder / "model.safetensors"] if file.is_file()]


def _names(file: Any) -> Iterator[str]:
    # bitsandbytes keeps what belongs to a 4-bit tensor beside it, as NAME.weight.absmax ...
    yield from (name for name in file.keys() if ".weight." not in name)  # noqa: SIM118 - no dict


def _stem(name: str) -> str:
    return ".".join(part for part in name.split(".") if part not in _WRAPPERS)


def _same(parameter: Any, name: str, file: Any) -> bool:
    wanted = file.get_tensor(name)
    loaded = parameter.detach().cpu()
    if loaded.shape != wanted.shape:
        return False
    if torch.equal(loaded, wanted.to(loaded.dtype)):
        return True
    wanted = wanted.float()
    error = torch.linalg.vector_norm(loaded.float() - wanted)
    return bool(error <= _ROUNDING * torch.linalg.vector_norm(wanted))
