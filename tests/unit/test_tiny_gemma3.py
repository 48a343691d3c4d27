from pathlib import Path

import pytest
from safetensors.numpy import load_file

from harness import tiny_gemma3
from harness.errors import ConfigError
from harness.locations import FIXTURES


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


def test_no_gain_passes_float16() -> None:
    gains = [v.gain(i) for v in tiny_gemma3.VARIANTS.values() for i in range(tiny_gemma3.LAYERS)]
    assert max(gains) < tiny_gemma3.FLOAT16_MAX


def test_unknown_variant_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="lukewarm"):
        tiny_gemma3.build("lukewarm", tmp_path / "m")
