"""What a forward pass keeps for the backward pass, in bytes, over the length of its sequence."""

from typing import Any

import torch

from .. import process_memory
from .sequences import Sequence

LENGTHS = (32, 64, 128, 256)
"""Tokens of the one row."""


def activation_memory(model: Any, row: Sequence) -> dict[str, Any]:
    """Return the fields of `harness.record.ActivationMemory`.

    The bytes are those of the storages that autograd keeps, each once, without those of parameters and
    buffers, as `torch.autograd.graph.saved_tensors_hooks` sees them: the same on every device, and no
    allocator's noise. What a custom function keeps outside of `save_for_backward` is not among them.

    Args:
        model: In train mode, under the trainer's autocast. On a GPU its gradients are gone afterwards,
            and so is the high-water mark.
        row: Whose tokens are repeated.
    """
    config = getattr(model.config, "text_config", None) or model.config
    kept = _Kept(model, config.vocab_size)
    points: list[dict[str, Any]] = []
    problem = None
    try:
        with torch.enable_grad():
            # The first pass may fill caches.
            for length in (LENGTHS[0], *LENGTHS):
                inputs = _inputs(row, length, model.device)
                point = {"tokens": length, **kept.of(inputs), "peak_gpu_allocated": None}
                if process_memory.real_cuda() is not None:
                    point["peak_gpu_allocated"] = _peak(model, inputs)
                points.append(point)
    except (AttributeError, RuntimeError, TypeError, ValueError) as error:
        # A release that computes no loss this way is no failed fine-tune.
        problem = f"{type(error).__name__}: {error}"[:500]
    return {
        "layers": config.num_hidden_layers,
        "heads": config.num_attention_heads,
        "hidden_size": config.hidden_size,
        "vocab_size": config.vocab_size,
        "points": points[1:],
        "without_loss": kept.without_loss,
        "problem": problem,
    }


class _Kept:
    """Sums what autograd keeps of a forward pass."""

    def __init__(self, model: Any, vocabulary: int) -> None:
        self._model = model
        self._vocabulary = vocabulary
        tensors = [*model.parameters(), *model.buffers()]
        self._own = {tensor.untyped_storage().data_ptr() for tensor in tensors}
        self.without_loss = False

    def of(self, inputs: dict[str, Any]) -> dict[str, int]:
        """Return the bytes of all storages, and of those as wide as the vocabulary."""
        if not self.without_loss:
            try:
                return self._sum(inputs)
            except RuntimeError as error:
                # A fused loss that takes its gradient by torch.func.
                if "saved tensor hooks" not in str(error):
                    raise
                self.without_loss = True
        return self._sum({name: value for name, value in inputs.items() if name != "labels"})

    def _sum(self, inputs: dict[str, Any]) -> dict[str, int]:
        kept: dict[int, int] = {}
        logits: dict[int, int] = {}

        def pack(tensor: Any) -> Any:
            storage = tensor.untyped_storage()
            if storage.data_ptr() not in self._own:
                kept[storage.data_ptr()] = storage.nbytes()
                if tensor.ndim and tensor.shape[-1] == self._vocabulary:
                    logits[storage.data_ptr()] = storage.nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            # Alive until all is summed: an address that is free may be another tensor's.
            output = self._model(**inputs)
        found = {"kept": sum(kept.values()), "kept_logits": sum(logits.values())}
        del output
        return found


def _peak(model: Any, inputs: dict[str, Any]) -> int:
    cuda = process_memory.real_cuda()
    cuda.reset_peak_memory_stats()
    before = cuda.memory_allocated()
    model(**inputs).loss.backward()
    model.zero_grad(set_to_none=True)
    return int(cuda.max_memory_allocated() - before)


def _inputs(row: Sequence, length: int, device: Any) -> dict[str, Any]:
    ids = row.ids.repeat(-(-length // row.ids.numel()))[None, :length].to(device)
    inputs = {"input_ids": ids, "labels": ids}
    if row.masked:
        inputs["attention_mask"] = torch.ones_like(ids)
    if row.types is not None:
        inputs["token_type_ids"] = torch.zeros_like(ids)
    return inputs
