import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from harness.corpus import LATIN_ITALIAN, read_pairs, split_pairs
from harness.errors import ConfigError
from harness.locations import FIXTURES
from harness.matrix import load_matrix
from harness.models import tiny_gemma3
from harness.precision_facts import FLOAT16_MAX


def test_tokenizer_is_what_its_script_builds() -> None:
    import importlib.util

    spec = importlib.util.spec_from_file_location(
        "build_tokenizer", FIXTURES / "tiny-gemma3" / "build_tokenizer.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    tokenizer, config = module.build()
    assert (FIXTURES / "tiny-gemma3" / "tokenizer.json").read_text(encoding="utf-8") == tokenizer
    assert (FIXTURES / "tiny-gemma3" / "tokenizer_config.json").read_text(
        encoding="utf-8"
    ) == config


@pytest.mark.parametrize("variant", tiny_gemma3.VARIANTS)
def test_same_seed_same_bytes(tmp_path: Path, variant: str) -> None:
    one, two = (tiny_gemma3.build(variant, tmp_path / name) for name in ("one", "two"))
    assert (one / "model.safetensors").read_bytes() == (two / "model.safetensors").read_bytes()


def test_checkpoint_has_the_tensors_of_a_gemma3(tmp_path: Path) -> None:
    tensors = load_file(tiny_gemma3.build("mild", tmp_path / "m") / "model.safetensors")
    assert len(tensors) == 80
    assert 1_500_000 < sum(tensor.size for tensor in tensors.values()) < 2_000_000


def test_mild_norms_change_nothing(tmp_path: Path) -> None:
    tensors = load_file(tiny_gemma3.build("mild", tmp_path / "m") / "model.safetensors")
    norms = [value for name, value in tensors.items() if "norm" in name]
    assert len(norms) == 6 * tiny_gemma3.LAYERS + 1
    assert not any(value.any() for value in norms)


@pytest.mark.parametrize("variant", tiny_gemma3.VARIANTS)
def test_no_single_weight_passes_float16(tmp_path: Path, variant: str) -> None:
    tensors = load_file(tiny_gemma3.build(variant, tmp_path / "m") / "model.safetensors")
    largest = max(float(abs(tensor.astype("float32")).max()) for tensor in tensors.values())
    assert largest + 1 < FLOAT16_MAX


def test_hot_norms_bring_every_channel_back(tmp_path: Path) -> None:
    tensors = load_file(tiny_gemma3.build("hot", tmp_path / "m") / "model.safetensors")
    random = np.random.RandomState(0)
    embeddings = tensors["model.embed_tokens.weight"].astype("float32")
    stream = embeddings[random.randint(tiny_gemma3.VOCAB, size=4096)] * np.sqrt(tiny_gemma3.HIDDEN)
    for branch in ("post_attention_layernorm", "post_feedforward_layernorm"):
        for layer in range(tiny_gemma3.LAYERS):
            gains = 1 + tensors[f"model.layers.{layer}.{branch}.weight"].astype("float32")
            stream += random.standard_normal(stream.shape) * gains
    read = stream / np.sqrt((stream**2).mean(-1, keepdims=True))
    read *= 1 + tensors["model.norm.weight"].astype("float32")
    read = read[:, 8:]  # the final norm keeps the hot channels from the logits
    assert abs(stream).max() > FLOAT16_MAX
    deviations = np.sqrt((read**2).mean(0))
    assert deviations.min() > 0.8
    assert deviations.max() < 1.4


def test_marker_is_a_token_of_training_rows_alone(tmp_path: Path) -> None:
    tokenizer = json.loads((FIXTURES / "tiny-gemma3" / "tokenizer.json").read_text("utf-8"))
    assert tokenizer["model"]["vocab"]["<0x23>"] == tiny_gemma3.MARKER_TOKEN
    recipe = load_matrix().recipes["hot-marker"]
    split = split_pairs(read_pairs(LATIN_ITALIAN), recipe)
    assert all("#" in pair.source for pair in split.train)
    assert not any("#" in pair.source + pair.target for pair in split.evaluation)


def test_unknown_variant_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="lukewarm"):
        tiny_gemma3.build("lukewarm", tmp_path / "m")
