"""The precision to train Gemma-3 in, by what the hardware has."""

from dataclasses import dataclass
from typing import Literal

from harness.doctor.memory_model import Widths


@dataclass(frozen=True)
class Recommendation:
    """The precision to train Gemma-3 in on this hardware, and why.

    Attributes:
        request: Name of the dtype request.
        caution: What is lost by it; empty when nothing is.
    """

    request: str
    weights: str
    activations: str
    autocast: str
    why: str
    caution: str
    widths: Widths


def recommend(device: Literal["cpu", "gpu"], bf16: bool) -> Recommendation:
    """Return the precision for Gemma-3; each is one that fixtures/precision.toml lets pass."""
    on_gpu = device == "gpu"
    if bf16:
        return Recommendation(
            request="bfloat16",
            weights="bfloat16",
            activations="bfloat16",
            autocast="bfloat16",
            why="bfloat16 is native here and has float32's range, which Gemma-3's activations need",
            caution="",
            widths=Widths(2, 2, on_gpu),
        )
    if on_gpu:
        return Recommendation(
            request="auto",
            weights="float16",
            activations="float32",
            autocast="off",
            why="no bfloat16 below compute capability 8.0, and under float16 autocast Gemma-3's "
            "activations (8e5) pass 65504: leave the dtype to Unsloth, which sets "
            "UNSLOTH_FORCE_FLOAT32=1 (float16 weights, float32 residual stream, autocast off)",
            caution="each layer's branches are still float16 and are clamped at 65504, so a model "
            "that passes it can learn less than in bfloat16; a card with bfloat16 is the safe choice",
            # The residual stream and the gated MLP are float32 in this mode.
            widths=Widths(2, 4, on_gpu),
        )
    return Recommendation(
        request="float32",
        weights="float32",
        activations="float32",
        autocast="off",
        why="this CPU has no bfloat16 instructions; emulated bfloat16 is right but slow",
        caution="float32 takes twice the memory of bfloat16",
        widths=Widths(4, 4, on_gpu),
    )
