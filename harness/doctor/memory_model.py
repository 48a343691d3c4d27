"""How much memory a LoRA fine-tune of Gemma-3 needs: an estimate from shapes, not a measurement.

The terms follow Korthikanti et al. 2022 (Reducing Activation Recomputation in Large Transformer
Models, arXiv:2205.05198, section 4), counted anew for Gemma-3's layer and for LoRA, whose frozen
matrices keep no input for their own gradient but whose adapters do. docs/hardware.md derives them.
"""

from dataclasses import dataclass
from typing import Literal

from harness.models.gemma3 import Architecture
from harness.profiles import GIB

Attention = Literal["sdpa", "eager"]

NF4_BITS = 4.127
"""Bits a weight in NF4 with double quantisation: 4 + 8/64 + 32/(64 * 256) (Dettmers et al. 2023)."""

_ADAM_BYTES = 4 + 4 + 8
"""float32 parameter, float32 gradient, and AdamW's two float32 moments."""

_GPU_RESERVE = 1 * GIB
_CPU_RESERVE = 1 * GIB
"""Allowance, not measured: CUDA context and cuBLAS workspace, or interpreter and libraries."""
_SLACK = 0.05
"""Allowance for the allocator's rounding and fragmentation, as a share of the rest."""


@dataclass(frozen=True)
class Run:
    """What of a fine-tune decides its memory. Sizes are rows, lengths tokens."""

    batch_size: int
    seq_len: int
    load_in_4bit: bool
    gradient_checkpointing: bool
    lora_r: int
    attention: Attention = "sdpa"

    @property
    def tokens(self) -> int:
        """Tokens of one forward pass, padding included."""
        return self.batch_size * self.seq_len


@dataclass(frozen=True)
class Widths:
    """Bytes an element takes: frozen 16- or 32-bit weights, and activations."""

    weights: int
    activations: int
    on_gpu: bool


@dataclass(frozen=True)
class Part:
    """One part of the estimate: bytes, and the formula with its numbers in."""

    name: str
    bytes: int
    formula: str


@dataclass(frozen=True)
class Estimate:
    """The parts of the peak during a training step."""

    parts: tuple[Part, ...]

    @property
    def total_bytes(self) -> int:
        """Sum of all parts."""
        return sum(part.bytes for part in self.parts)


def estimate(model: Architecture, run: Run, widths: Widths) -> Estimate:
    """Estimate the peak memory of one training step on one device.

    Args:
        model: The shapes.
        run: Batch, sequence, quantisation, checkpointing and LoRA rank.
        widths: Bytes an element, as the hardware's precision decides.
    """
    parts = [
        _weights(model, run, widths),
        _adapter(model, run),
        _activations(model, run, widths),
        _logits(model, run, widths),
    ]
    return Estimate((*parts, _reserve(model, run, widths, sum(part.bytes for part in parts))))


def _weights(model: Architecture, run: Run, widths: Widths) -> Part:
    others = model.parameters - model.linear_parameters
    if not run.load_in_4bit:
        return Part(
            "frozen weights",
            model.parameters * widths.weights,
            f"{model.parameters:,} parameters x {widths.weights} bytes",
        )
    return Part(
        "frozen weights",
        int(model.linear_parameters * NF4_BITS / 8) + others * widths.weights,
        f"{model.linear_parameters:,} in linear layers x {NF4_BITS} bits + {others:,} x "
        f"{widths.weights} bytes",
    )


def _adapter(model: Architecture, run: Run) -> Part:
    count = model.lora_parameters(run.lora_r)
    return Part(
        "LoRA, gradients, AdamW",
        count * _ADAM_BYTES,
        f"{count:,} parameters at r={run.lora_r} x {_ADAM_BYTES} bytes",
    )


def layer_bytes(model: Architecture, run: Run, width: int) -> int:
    """Return the bytes a token that one decoder layer keeps for the backward pass.

    With h hidden, q query, k key and i intermediate channels, in plain torch operations: each
    RMSNorm computes in float32 and keeps its input and the normalised value (four of h, q_norm, and
    k_norm); the adapters' inputs on both sides of the attention (2 h); queries, keys and values
    repeated to the query heads, and the attention's output (4 q); gate, up, gelu(gate) and their
    product (4 i); the seven adapters' inner r channels. Fused kernels keep less.
    """
    h, q, k, i = model.hidden_size, model.query_size, model.key_size, model.intermediate_size
    norms = 2 * (4 * h + q + k)
    others = 2 * h + 4 * q + 4 * i + 7 * run.lora_r
    scores = 0
    if run.attention == "eager":
        # Scores are materialised: float32 softmax, and its cast for the product with the values.
        scores = model.num_attention_heads * run.seq_len * (4 + width)
    return 4 * norms + width * others + scores


def _activations(model: Architecture, run: Run, widths: Widths) -> Part:
    layers, layer = model.num_hidden_layers, layer_bytes(model, run, widths.activations)
    if not run.gradient_checkpointing:
        return Part(
            "activations",
            run.tokens * layers * layer,
            f"{run.tokens:,} tokens x {layers} layers x {layer:,} bytes",
        )
    kept = layers * model.hidden_size * widths.activations
    return Part(
        "activations",
        run.tokens * (kept + layer),
        f"{run.tokens:,} tokens x ({kept:,} bytes of layer inputs + {layer:,} of one layer)",
    )


def _logits(model: Architecture, run: Run, widths: Widths) -> Part:
    # The head's output, its float32 copy, the log-softmax kept for backward, and the gradient.
    each = widths.activations + 3 * 4
    return Part(
        "logits and loss",
        run.tokens * model.vocab_size * each,
        f"{run.tokens:,} tokens x {model.vocab_size:,} vocabulary x {each} bytes, unless the loss is fused",
    )


def _reserve(model: Architecture, run: Run, widths: Widths, rest: int) -> Part:
    fixed = _GPU_RESERVE if widths.on_gpu else _CPU_RESERVE
    formula = f"{fixed / GIB:.0f} GiB + {_SLACK:.0%} of the rest"
    if run.load_in_4bit:
        largest = max(a * b for a, b in model.matrices.values()) * widths.activations
        fixed += largest
        formula += f" + the largest matrix dequantised ({largest / GIB:.2f} GiB)"
    return Part("workspace and reserve", fixed + int(_SLACK * rest), formula)
