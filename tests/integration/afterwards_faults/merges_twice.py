"""Merging scales the adapter twice, so the merged checkpoint is another model (unslothai/unsloth#3045)."""

from typing import Any


def install(context: Any) -> None:
    layer = context.peft.tuners.lora.Linear
    original = layer.get_delta_weight
    layer.get_delta_weight = lambda self, adapter: 2 * original(self, adapter)
