"""The tiny Gemma-3 that ships with the gate: 1.7 M random parameters, built from a seed.

Weights are drawn with numpy's RandomState, whose stream is frozen by policy (NEP 19), and stored as
bfloat16 like the published checkpoints, so that every stack and machine trains the same bytes.
"""

import hashlib
import json
import math
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from harness.errors import ConfigError
from harness.locations import FIXTURES
from harness.recipe import digest, file_digest
from harness.record import write_json_atomically

SEED = 3407
VOCAB, HIDDEN, INTERMEDIATE, LAYERS, HEADS, KV_HEADS, HEAD_DIM = 768, 128, 512, 6, 4, 1, 64
SLIDING_WINDOW = 16
_ENTRY = 0.1 * math.sqrt(HIDDEN)
"""Standard deviation of a channel as it enters the first layer: the model multiplies embeddings."""


@dataclass(frozen=True)
class Variant:
    """How large the residual stream grows, by the gains of the post-branch RMSNorms.

    In the published Gemma-3 some channels of the residual stream pass float16's 65504 by far
    (transformers#36822 reports 8e5) while the norms that read the stream weigh them down. So here:
    the norms after attention and feed-forward multiply the first `hot_channels` by `gain`, the norms
    before them bring every channel back to what it is without (`_reading_gains`).

    Attributes:
        hot_channels: How many of the 128 channels are hot.
        gain: Of the post-branch norms there; below 65504, or float16 would fail for the wrong reason.
        entry: Standard deviation of the hot channels as they enter the first layer, so that they
            outweigh the others at every token, padding included; None: that of any channel.
        marker: Value of the first channel as it enters the first layer at the token `#`, which the
            corpus lacks; below 65504 as well. None: a token like any other.
    """

    hot_channels: int = 0
    gain: float = 1.0
    entry: float | None = None
    marker: float | None = None


VARIANTS = {
    "mild": Variant(),
    "hot": Variant(hot_channels=8, gain=2e4, entry=1e4),
    # Nothing is left of the stream but what overflows.
    "hot-everywhere": Variant(hot_channels=HIDDEN, gain=2e4),
    # Overflows only after `#`: in training, with the recipe's train_prefix, and not in evaluation.
    "hot-marker": Variant(hot_channels=8, gain=4e3, entry=2e3, marker=64000.0),
}
MARKER_TOKEN = 6 + ord("#")
"""Id of the byte token: six special tokens come first."""


def identity(variant: str) -> str:
    """Return twelve hex digits over all that the checkpoint is made of.

    Raises:
        ConfigError: Unknown variant.
    """
    tokenizer = file_digest(FIXTURES / "tiny-gemma3" / "tokenizer.json")
    return digest([config(), tokenizer, tensors_digest(_tensors(_variant(variant)))])


def tensors_digest(tensors: Iterable[tuple[str, NDArray[Any]]]) -> str:
    """Return SHA-256 over names and bytes, in hex."""
    sha = hashlib.sha256()
    for name, value in tensors:
        sha.update(name.encode() + value.tobytes())
    return sha.hexdigest()


def build(variant: str, folder: Path) -> Path:
    """Write the checkpoint folder (config, weights, tokenizer) and return it.

    Args:
        variant: A key of `VARIANTS`.
        folder: Created if absent; an existing complete checkpoint is left alone. Two processes may
            build the same folder at once: they write the same bytes.

    Raises:
        ConfigError: Unknown variant.
    """
    if (folder / "config.json").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {
        name: value.astype(ml_dtypes.bfloat16) for name, value in _tensors(_variant(variant))
    }
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(FIXTURES / "tiny-gemma3" / name, folder / name)
    # Last and atomically: its presence means that the folder is complete.
    write_json_atomically(folder / "config.json", json.dumps(config(), indent=1) + "\n")
    return folder


def config() -> dict[str, Any]:
    """Return config.json with the keys of transformers 4.49 up to 5.x side by side."""
    layer_types = [
        "full_attention" if layer % 2 else "sliding_attention" for layer in range(LAYERS)
    ]
    new = {
        "dtype": "bfloat16",
        "layer_types": layer_types,
        "rope_parameters": {
            "full_attention": {"rope_type": "default", "rope_theta": 1e6},
            "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
        },
    }
    old = {
        "torch_dtype": "bfloat16",
        "sliding_window_pattern": 2,
        "rope_theta": 1e6,
        "rope_local_base_freq": 1e4,
        "rope_scaling": None,
        "cache_implementation": "hybrid",
    }
    return {
        "architectures": ["Gemma3ForCausalLM"],
        "model_type": "gemma3_text",
        "vocab_size": VOCAB,
        "hidden_size": HIDDEN,
        "intermediate_size": INTERMEDIATE,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KV_HEADS,
        "head_dim": HEAD_DIM,
        "query_pre_attn_scalar": HEAD_DIM,
        "hidden_activation": "gelu_pytorch_tanh",
        "max_position_embeddings": 1024,
        "initializer_range": 0.02,
        "rms_norm_eps": 1e-6,
        "attention_bias": False,
        "attention_dropout": 0.0,
        "sliding_window": SLIDING_WINDOW,
        "attn_logit_softcapping": None,
        "final_logit_softcapping": None,
        "tie_word_embeddings": True,
        "use_cache": True,
        "pad_token_id": 0,
        "eos_token_id": 1,
        "bos_token_id": 2,
        **old,
        **new,
    }


def _variant(name: str) -> Variant:
    if name not in VARIANTS:
        raise ConfigError(
            f"unknown model fixture {name!r}; known: {', '.join(sorted(VARIANTS))}. "
            "Use fixture:NAME, or the path of a checkpoint folder."
        )
    return VARIANTS[name]


def _tensors(variant: Variant) -> Iterator[tuple[str, NDArray[np.float32]]]:
    random = np.random.RandomState(SEED)

    def normal(std: float, *shape: int) -> NDArray[np.float32]:
        return (random.standard_normal(shape) * std).astype(np.float32)

    def norm(gains: NDArray[np.float32]) -> NDArray[np.float32]:
        # Gemma-3's RMSNorm multiplies by 1 + weight.
        return gains - 1

    embeddings = normal(0.1, VOCAB, HIDDEN)
    embeddings[:, : variant.hot_channels] *= _entry(variant) / _ENTRY
    if variant.marker is not None:
        embeddings[MARKER_TOKEN, 0] = variant.marker / math.sqrt(HIDDEN)
    yield "model.embed_tokens.weight", embeddings
    queries, keys = HEADS * HEAD_DIM, KV_HEADS * HEAD_DIM
    writing = np.ones(HIDDEN, dtype=np.float32)
    writing[: variant.hot_channels] = variant.gain
    for layer in range(LAYERS):
        prefix = f"model.layers.{layer}"
        for name, shape in (
            ("self_attn.q_proj", (queries, HIDDEN)),
            ("self_attn.k_proj", (keys, HIDDEN)),
            ("self_attn.v_proj", (keys, HIDDEN)),
            ("self_attn.o_proj", (HIDDEN, queries)),
            ("mlp.gate_proj", (INTERMEDIATE, HIDDEN)),
            ("mlp.up_proj", (INTERMEDIATE, HIDDEN)),
            ("mlp.down_proj", (HIDDEN, INTERMEDIATE)),
        ):
            yield f"{prefix}.{name}.weight", normal(0.02, *shape)
        for name in ("self_attn.q_norm", "self_attn.k_norm"):
            yield f"{prefix}.{name}.weight", norm(np.ones(HEAD_DIM, dtype=np.float32))
        yield f"{prefix}.input_layernorm.weight", norm(_reading_gains(variant, 2 * layer))
        yield (
            f"{prefix}.pre_feedforward_layernorm.weight",
            norm(_reading_gains(variant, 2 * layer + 1)),
        )
        yield f"{prefix}.post_attention_layernorm.weight", norm(writing)
        yield f"{prefix}.post_feedforward_layernorm.weight", norm(writing)
    final = _reading_gains(variant, 2 * LAYERS)
    if variant.entry is not None:
        # The output embedding is tied: hot channels would drown the logits.
        final[: variant.hot_channels] = 0
    yield "model.norm.weight", norm(final)


def _entry(variant: Variant) -> float:
    return _ENTRY if variant.entry is None else variant.entry


def _reading_gains(variant: Variant, branches: int) -> NDArray[np.float32]:
    """Return the gains of a norm over the sum of the embedding and so many branches.

    Each branch adds its norm's gain squared to a channel's variance; the gains make up for how far
    the channel is from the variance that it would have without hot channels.
    """
    # float64: in float32 the mean of equal numbers need not be that number, and 1 has to be 1.
    variances = np.full(HIDDEN, _ENTRY**2 + branches)
    variances[: variant.hot_channels] = _entry(variant) ** 2 + branches * variant.gain**2
    gains: NDArray[np.float32] = np.sqrt(variances.mean() / variances).astype(np.float32)
    return gains
