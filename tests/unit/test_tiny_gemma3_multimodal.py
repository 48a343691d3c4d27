import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from harness import corpus
from harness.errors import ConfigError
from harness.models import fixtures as model_fixtures
from harness.models import tiny_gemma3
from harness.models import tiny_gemma3_multimodal as multimodal
from harness.models.gemma3 import VisionTower
from harness.recipe import parse_recipe


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return multimodal.build(tmp_path_factory.mktemp("models") / "gemma-3-tiny-multimodal")


def test_same_seed_same_bytes(tmp_path: Path, folder: Path) -> None:
    again = multimodal.build(tmp_path / "again")
    files = sorted(path.name for path in folder.iterdir())
    assert len(files) == 6
    for name in files:
        assert (again / name).read_bytes() == (folder / name).read_bytes(), name


def test_tensors_are_those_of_the_published_checkpoint(folder: Path) -> None:
    shapes = {
        name: tensor.shape for name, tensor in load_file(folder / "model.safetensors").items()
    }
    tower = "vision_tower.vision_model"
    expected = {
        "language_model.model.embed_tokens.weight": (768, 128),
        "language_model.model.layers.5.self_attn.q_proj.weight": (256, 128),
        "language_model.model.norm.weight": (128,),
        f"{tower}.embeddings.patch_embedding.weight": (32, 3, 14, 14),
        f"{tower}.embeddings.position_embedding.weight": (16, 32),
        f"{tower}.encoder.layers.1.mlp.fc1.weight": (64, 32),
        f"{tower}.encoder.layers.1.self_attn.out_proj.bias": (32,),
        f"{tower}.post_layernorm.bias": (32,),
        "multi_modal_projector.mm_input_projection_weight": (32, 128),
        "multi_modal_projector.mm_soft_emb_norm.weight": (32,),
    }
    assert {name: shapes[name] for name in expected} == expected
    assert len(shapes) == 80 + 39


def test_vision_half_has_as_many_parameters_as_its_architecture(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())["vision_config"]
    fields = {key: config[key] for key in VisionTower.model_fields}
    tensors = load_file(folder / "model.safetensors")
    size = sum(t.size for name, t in tensors.items() if not name.startswith("language_model."))
    assert size == VisionTower(**fields).parameters(tiny_gemma3.HIDDEN)


def test_language_half_is_the_mild_checkpoint(tmp_path: Path, folder: Path) -> None:
    mild = load_file(tiny_gemma3.build("mild", tmp_path / "mild") / "model.safetensors")
    tensors = load_file(folder / "model.safetensors")
    assert all(
        tensors[f"language_model.{name}"].tobytes() == value.tobytes()
        for name, value in mild.items()
    )


def test_no_vision_tensor_is_one_that_transformers_would_make(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    for name, tensor in tensors.items():
        if not name.startswith("language_model."):
            assert len(np.unique(tensor.astype(np.float32))) > 10, name


def test_text_has_the_same_tokens_as_the_text_only_fixture(tmp_path: Path, folder: Path) -> None:
    mild = tiny_gemma3.build("mild", tmp_path / "mild")
    one, two = (Tokenizer.from_file(str(f / "tokenizer.json")) for f in (mild, folder))
    pairs = corpus.read_pairs(corpus.data_file(parse_recipe({"name": "mild"})))
    texts = [*(p.source for p in pairs), *(p.target for p in pairs), "ἀρχή 🏛 \x7f"]
    assert [e.ids for e in one.encode_batch(texts)] == [e.ids for e in two.encode_batch(texts)]


def test_image_tokens_are_in_the_vocabulary_and_in_the_config(folder: Path) -> None:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    config = json.loads((folder / "config.json").read_text())
    encoded = tokenizer.encode("<start_of_image><image_soft_token><end_of_image>")
    assert encoded.ids[1:] == [
        config["boi_token_index"],
        config["image_token_index"],
        config["eoi_token_index"],
    ]
    assert tokenizer.get_vocab_size() == config["text_config"]["vocab_size"] == tiny_gemma3.VOCAB


def test_image_is_pooled_into_whole_tokens() -> None:
    side = multimodal.IMAGE_SIZE // multimodal.PATCH_SIZE
    assert side % int(multimodal.TOKENS_PER_IMAGE**0.5) == 0


def test_identity_changes_with_all_that_it_is_made_of(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = {multimodal.identity(), *map(tiny_gemma3.identity, tiny_gemma3.VARIANTS)}
    for name, value in (("SEED", 1), ("LANGUAGE", "hot"), ("TOKENS_PER_IMAGE", 16)):
        with monkeypatch.context() as patch:
            patch.setattr(multimodal, name, value)
            seen.add(multimodal.identity())
    assert len(seen) == 4 + len(tiny_gemma3.VARIANTS)


def test_fixtures_are_found_by_name(tmp_path: Path) -> None:
    assert model_fixtures.identity("multimodal") == multimodal.identity()
    assert model_fixtures.identity("hot") == tiny_gemma3.identity("hot")
    built = model_fixtures.build("multimodal", tmp_path / "m")
    assert json.loads((built / "config.json").read_text())["architectures"] == [
        "Gemma3ForConditionalGeneration"
    ]


def test_unknown_fixture_is_named_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"lukewarm.*known: .*mild, multimodal"):
        model_fixtures.build("lukewarm", tmp_path / "m")
    with pytest.raises(ConfigError, match="lukewarm"):
        model_fixtures.identity("lukewarm")
