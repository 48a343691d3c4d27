import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from harness.models import fixtures as model_fixtures
from harness.models import shaped_gemma3
from harness.models.gemma3 import architecture, published


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> str:
    """A published shape that takes no gigabytes."""
    shape = published()["270m"].model_copy(
        update={"name": "270m", "num_hidden_layers": 7, "vocab_size": 1024, "hidden_size": 64}
    )
    monkeypatch.setattr(shaped_gemma3, "published", lambda: {"270m": shape})
    return "270m"


@pytest.mark.parametrize("size", ["270m", "1b", "4b"])
def test_shapes_are_those_of_the_published_model(size: str) -> None:
    parameters = sum(int(np.prod(shape)) for _, shape in shaped_gemma3._shapes(published()[size]))
    whole = published()[size]
    assert parameters == whole.parameters - whole.vision_parameters


def test_the_same_bytes_on_every_build(small: str, tmp_path: Path) -> None:
    one = shaped_gemma3.build(small, tmp_path / "one")
    two = shaped_gemma3.build(small, tmp_path / "two")
    names = sorted(p.name for p in one.iterdir())
    assert names == sorted(p.name for p in two.iterdir())
    assert all((one / name).read_bytes() == (two / name).read_bytes() for name in names)


def test_every_tensor_is_in_the_index_and_no_two_are_alike(small: str, tmp_path: Path) -> None:
    folder = shaped_gemma3.build(small, tmp_path)
    index = json.loads((folder / "model.safetensors.index.json").read_text())["weight_map"]
    tensors = {n: v for file in set(index.values()) for n, v in load_file(folder / file).items()}
    assert set(tensors) == set(index)
    matrices = [v.tobytes()[:64] for v in tensors.values() if v.ndim == 2]
    assert len(set(matrices)) == len(matrices)
    spread = tensors["model.embed_tokens.weight"].astype(np.float32).std()
    assert spread == pytest.approx(shaped_gemma3.STD, rel=0.02)


def test_its_config_is_read_as_the_published_architecture(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(shaped_gemma3.config("1b")))
    read = architecture(tmp_path)
    assert read.parameters == published()["1b"].parameters


def test_one_layer_in_six_attends_to_everything() -> None:
    types = shaped_gemma3.config("1b")["layer_types"]
    full = [number for number, kind in enumerate(types, start=1) if kind == "full_attention"]
    assert full == [6, 12, 18, 24]


def test_sizes_are_fixtures_by_name() -> None:
    assert model_fixtures.identity("1b") != model_fixtures.identity("270m")
    assert "4b" in model_fixtures.names()
