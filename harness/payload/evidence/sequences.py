"""The sequences of a batch as the trainer gets it, padded or packed into one long row."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

IGNORED = -100


@dataclass(frozen=True)
class Sequence:
    """One sequence without its padding.

    Attributes:
        ids: Tokens, int64 of shape (tokens,).
        labels: Of the same shape, -100 where a token is not supervised; the trainer shifts them.
        types: token_type_ids, None where the batch has none.
        masked: Whether the batch has an attention mask.
    """

    ids: Any
    labels: Any
    types: Any
    masked: bool

    @property
    def targets(self) -> Any:
        """What is predicted at each place but the last."""
        return self.labels[1:]

    @property
    def supervised(self) -> int:
        """How many tokens the loss is over: the first one is never predicted."""
        return int((self.targets != IGNORED).sum())


def sequences(inputs: Any) -> Iterator[Sequence]:
    """Take a batch apart: padding is what the mask leaves out, and position 0 starts a sequence."""
    ids, labels = inputs["input_ids"], inputs.get("labels")
    mask, types = _plane(inputs, "attention_mask"), _plane(inputs, "token_type_ids")
    positions = _plane(inputs, "position_ids")
    for row in range(ids.shape[0]):
        real = torch.arange(ids.shape[1], device=ids.device)
        if mask is not None:
            real = real[mask[row] != 0]
        cuts: list[int] = []
        if positions is not None:
            cuts = (positions[row][real] == 0).nonzero().flatten().tolist()
        for places in torch.tensor_split(real, [cut for cut in cuts if cut > 0]):
            if places.numel():
                row_ids = ids[row][places]
                yield Sequence(
                    row_ids,
                    torch.full_like(row_ids, IGNORED) if labels is None else labels[row][places],
                    None if types is None else types[row][places],
                    mask is not None,
                )


def _plane(inputs: Any, name: str) -> Any:
    value = inputs.get(name)
    return value if getattr(value, "ndim", 0) == 2 else None
