"""Gemma-3 decoders of the published shapes with random weights, built from a seed.

For a GPU: true widths, depth and vocabulary, so that kernels, memory and speed are those of the
published model; what it learns is not. The tokenizer is the tiny model's, whose tokens are the first
768 of the vocabulary. The 4b, 12b and 27b are the language half, without vision tower.
"""

import json
import math
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from harness.locations import FIXTURES
from harness.models import tiny_gemma3
from harness.models.gemma3 import Architecture, published
from harness.recipe import digest, file_digest
from harness.record import write_json_atomically

SEED = 3409
STD = 0.02
"""The published config's `initializer_range`."""
_FULL_EVERY = 6
"""Five layers of sliding attention, then one of full: `sliding_window_pattern` of the published models."""
_SAMPLE = 4096
_TENSORS_A_FILE = 64
_PIECE = 1 << 22
"""Numbers drawn at a time by one thread."""


def identity(size: str) -> str:
    """Return twelve hex digits over all that the checkpoint is made of.

    Gigabytes are not drawn for it: the first numbers of the stream stand for the rest.
    """
    tokenizer = file_digest(FIXTURES / "tiny-gemma3" / "tokenizer.json")
    sample = _draw(0, _SAMPLE).tobytes().hex()
    shapes = [[name, list(shape)] for name, shape in _shapes(published()[size])]
    return digest([config(size), tokenizer, shapes, sample])


def build(size: str, folder: Path) -> Path:
    """Write the checkpoint folder (config, weights, tokenizer) and return it.

    Args:
        size: `270m`, `1b`, `4b` ...; the weights take 2 bytes a parameter on disk.
        folder: Created if absent; an existing complete checkpoint is left alone.
    """
    if (folder / "config.json").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    files: dict[str, str] = {}
    # A file of each few layers: no more than that is in memory at once.
    shapes = list(enumerate(_shapes(published()[size])))
    for start in range(0, len(shapes), _TENSORS_A_FILE):
        file = f"model-{start // _TENSORS_A_FILE + 1:05d}.safetensors"
        some = shapes[start : start + _TENSORS_A_FILE]
        tensors = {name: _tensor(index, name, shape) for index, (name, shape) in some}
        save_file(tensors, folder / file, {"format": "pt"})
        files |= dict.fromkeys(tensors, file)
    index = {"metadata": {}, "weight_map": files}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(FIXTURES / "tiny-gemma3" / name, folder / name)
    # Last and atomically: its presence means that the folder is complete.
    write_json_atomically(folder / "config.json", json.dumps(config(size), indent=1) + "\n")
    return folder


def config(size: str) -> dict[str, Any]:
    """Return config.json: the tiny model's, with the published shape."""
    shape = published()[size]
    layers = range(1, shape.num_hidden_layers + 1)
    return {
        **tiny_gemma3.config(),
        **shape.model_dump(exclude={"name", "vision"}),
        "query_pre_attn_scalar": shape.head_dim,
        "max_position_embeddings": 32768,
        "sliding_window_pattern": _FULL_EVERY,
        "layer_types": [
            "sliding_attention" if layer % _FULL_EVERY else "full_attention" for layer in layers
        ],
    }


def _shapes(shape: Architecture) -> Iterator[tuple[str, tuple[int, ...]]]:
    hidden = shape.hidden_size
    yield "model.embed_tokens.weight", (shape.vocab_size, hidden)
    for layer in range(shape.num_hidden_layers):
        prefix = f"model.layers.{layer}"
        for name, (inputs, outputs) in shape.matrices.items():
            part = "self_attn" if name[0] in "qkvo" else "mlp"
            yield f"{prefix}.{part}.{name}.weight", (outputs, inputs)
        for name in ("q_norm", "k_norm"):
            yield f"{prefix}.self_attn.{name}.weight", (shape.head_dim,)
        for name in ("input", "post_attention", "pre_feedforward", "post_feedforward"):
            yield f"{prefix}.{name}_layernorm.weight", (hidden,)
    yield "model.norm.weight", (hidden,)


def _tensor(index: int, name: str, shape: tuple[int, ...]) -> NDArray[Any]:
    values = np.zeros(math.prod(shape), dtype=ml_dtypes.bfloat16)
    # Gemma-3's RMSNorm multiplies by 1 + weight: 0 leaves the stream as it is.
    if len(shape) > 1:
        starts = range(0, values.size, _PIECE)

        def fill(start: int) -> None:
            piece = values[start : start + _PIECE]
            piece[:] = _draw(index * 2**20 + start // _PIECE, piece.size)

        with ThreadPoolExecutor() as pool:
            list(pool.map(fill, starts))
    return values.reshape(shape)


def _draw(stream: int, count: int) -> NDArray[np.float32]:
    # Philox: streams by key, so that pieces can be drawn in any order and side by side.
    generator = np.random.Generator(np.random.Philox(key=[SEED, stream]))
    return generator.standard_normal(count, dtype=np.float32) * np.float32(STD)
