"""The raw bytes of a tensor, for digests."""

from typing import Any

import torch


def raw_bytes(tensor: Any) -> Any:
    """Return a buffer over the tensor's bytes in row order, without a copy where it lies so already."""
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().data
