"""The tiny Gemma-3 with a vision tower: the architecture of the published 4B, 12B and 27B.

The language half is the `mild` checkpoint byte for byte, under the names that the published
checkpoints use, so that text-only losses of the two can be compared. The SigLIP tower and the
projector are drawn from a seed of their own, and none of their tensors is one that transformers
would make by itself. Files and keys are those of google/gemma-3-4b-it.
"""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from harness.locations import FIXTURES
from harness.models import tiny_gemma3
from harness.recipe import digest
from harness.record import write_json_atomically

LANGUAGE = "mild"
SEED = 3408
HIDDEN, INTERMEDIATE, LAYERS, HEADS = 32, 64, 2, 2
IMAGE_SIZE, PATCH_SIZE, CHANNELS = 56, 14, 3
TOKENS_PER_IMAGE = 4

# Each takes the place of a byte that UTF-8 never has: the vocabulary keeps its size, and every text
# its tokens.
_IMAGE_TOKENS = {
    "boi_token": ("<0xFD>", "<start_of_image>"),
    "eoi_token": ("<0xFE>", "<end_of_image>"),
    "image_token": ("<0xFF>", "<image_soft_token>"),
}


def identity() -> str:
    """Return twelve hex digits over all that the checkpoint is made of."""
    vision = tiny_gemma3.tensors_digest(_vision_tensors())
    return digest([tiny_gemma3.identity(LANGUAGE), config(), _other_files(), vision])


def build(folder: Path) -> Path:
    """Write the checkpoint folder (config, weights, tokenizer, processor) and return it.

    Args:
        folder: Created if absent; an existing complete checkpoint is left alone. Two processes may
            build the same folder at once: they write the same bytes.
    """
    if (folder / "config.json").exists():
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as parent:
        language = tiny_gemma3.build(LANGUAGE, Path(parent) / LANGUAGE)
        text = load_file(language / "model.safetensors")
    tensors = {f"language_model.{name}": value for name, value in text.items()}
    tensors.update(_vision_tensors())
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    for name, content in _other_files().items():
        (folder / name).write_text(_json(content), encoding="utf-8")
    # Last and atomically: its presence means that the folder is complete.
    write_json_atomically(folder / "config.json", _json(config()))
    return folder


def config() -> dict[str, Any]:
    """Return config.json with the keys of transformers 4.50 up to 5.x side by side."""
    text = tiny_gemma3.config()
    text.pop("architectures")
    ids = _image_token_ids()
    return {
        "architectures": ["Gemma3ForConditionalGeneration"],
        "model_type": "gemma3",
        "text_config": text,
        "vision_config": {
            "model_type": "siglip_vision_model",
            "hidden_size": HIDDEN,
            "intermediate_size": INTERMEDIATE,
            "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS,
            "num_channels": CHANNELS,
            "image_size": IMAGE_SIZE,
            "patch_size": PATCH_SIZE,
            "vision_use_head": False,
            "torch_dtype": "bfloat16",
            "dtype": "bfloat16",
        },
        "mm_tokens_per_image": TOKENS_PER_IMAGE,
        "boi_token_index": ids["boi_token"],
        "eoi_token_index": ids["eoi_token"],
        "image_token_index": ids["image_token"],
        "initializer_range": 0.02,
        "tie_word_embeddings": True,
        "pad_token_id": text["pad_token_id"],
        "eos_token_id": text["eos_token_id"],
        "bos_token_id": text["bos_token_id"],
        "torch_dtype": "bfloat16",
        "dtype": "bfloat16",
    }


def _other_files() -> dict[str, Any]:
    """Return the content of every JSON file of the checkpoint but config.json."""
    names = {key: token for key, (_, token) in _IMAGE_TOKENS.items()}
    tokenizer_config = _fixture("tokenizer_config.json")
    return {
        "tokenizer.json": _tokenizer(),
        "tokenizer_config.json": {
            **tokenizer_config,
            **names,
            "extra_special_tokens": names,
            "processor_class": "Gemma3Processor",
        },
        "processor_config.json": {
            "processor_class": "Gemma3Processor",
            "image_seq_length": TOKENS_PER_IMAGE,
        },
        "preprocessor_config.json": {
            "processor_class": "Gemma3Processor",
            "image_processor_type": "Gemma3ImageProcessor",
            "image_seq_length": TOKENS_PER_IMAGE,
            "do_resize": True,
            "size": {"height": IMAGE_SIZE, "width": IMAGE_SIZE},
            "resample": 2,
            "do_rescale": True,
            "rescale_factor": 1 / 255,
            "do_normalize": True,
            "image_mean": [0.5, 0.5, 0.5],
            "image_std": [0.5, 0.5, 0.5],
        },
    }


def _tokenizer() -> dict[str, Any]:
    state: dict[str, Any] = _fixture("tokenizer.json")
    vocabulary = state["model"]["vocab"]
    flags = {key: value for key, value in state["added_tokens"][0].items() if key != "content"}
    for byte, token in _IMAGE_TOKENS.values():
        vocabulary[token] = vocabulary.pop(byte)
        state["added_tokens"].append({**flags, "id": vocabulary[token], "content": token})
    return state


def _image_token_ids() -> dict[str, int]:
    vocabulary = _fixture("tokenizer.json")["model"]["vocab"]
    return {key: vocabulary[byte] for key, (byte, _) in _IMAGE_TOKENS.items()}


def _vision_tensors() -> Iterator[tuple[str, NDArray[Any]]]:
    random = np.random.RandomState(SEED)

    def normal(*shape: int, mean: float = 0.0) -> NDArray[Any]:
        drawn = mean + 0.02 * random.standard_normal(shape)
        return drawn.astype(np.float32).astype(ml_dtypes.bfloat16)

    tower = "vision_tower.vision_model"
    patches = (IMAGE_SIZE // PATCH_SIZE) ** 2
    yield (
        f"{tower}.embeddings.patch_embedding.weight",
        normal(HIDDEN, CHANNELS, PATCH_SIZE, PATCH_SIZE),
    )
    yield f"{tower}.embeddings.patch_embedding.bias", normal(HIDDEN)
    yield f"{tower}.embeddings.position_embedding.weight", normal(patches, HIDDEN)
    for layer in range(LAYERS):
        prefix = f"{tower}.encoder.layers.{layer}"
        for name in ("layer_norm1", "layer_norm2"):
            yield f"{prefix}.{name}.weight", normal(HIDDEN, mean=1.0)
            yield f"{prefix}.{name}.bias", normal(HIDDEN)
        for name, outputs, inputs in (
            ("self_attn.q_proj", HIDDEN, HIDDEN),
            ("self_attn.k_proj", HIDDEN, HIDDEN),
            ("self_attn.v_proj", HIDDEN, HIDDEN),
            ("self_attn.out_proj", HIDDEN, HIDDEN),
            ("mlp.fc1", INTERMEDIATE, HIDDEN),
            ("mlp.fc2", HIDDEN, INTERMEDIATE),
        ):
            yield f"{prefix}.{name}.weight", normal(outputs, inputs)
            yield f"{prefix}.{name}.bias", normal(outputs)
    yield f"{tower}.post_layernorm.weight", normal(HIDDEN, mean=1.0)
    yield f"{tower}.post_layernorm.bias", normal(HIDDEN)
    # Not transposed: the projector multiplies by it from the right.
    yield (
        "multi_modal_projector.mm_input_projection_weight",
        normal(HIDDEN, tiny_gemma3.HIDDEN),
    )
    yield "multi_modal_projector.mm_soft_emb_norm.weight", normal(HIDDEN)


def _fixture(name: str) -> Any:
    return json.loads((FIXTURES / "tiny-gemma3" / name).read_text(encoding="utf-8"))


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"
