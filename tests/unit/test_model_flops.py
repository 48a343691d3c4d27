from pathlib import Path
from typing import Any

import pytest

from harness.checks import Context
from harness.checks.throughput import judge
from harness.collect import model_shape
from harness.model_flops import flops_per_token, model_flops_utilisation
from harness.models.gemma3 import published
from harness.record import ModelShape, Record
from tests.unit.records import make_record, rows, steps

SHAPE = ModelShape(matrix_parameters=1_000_000, layers=12, query_channels=100, sliding_window=50)


def on_h100(**changes: Any) -> Record:
    fields: dict[str, Any] = {
        "hardware": {"name": "h100", "device": "NVIDIA H100 80GB HBM3", "driver": "570.86"},
        "precision": {"weights": {"bfloat16": 80}},
        "model": SHAPE,
        "adapter": {"trainable_parameters": 10_000},
        "steps": steps(wall_s=0.1, tokens=1600),
        "rows": {"train": rows(160, 3)},
    }
    return make_record(**{**fields, **changes})


def test_flops_per_token_by_hand() -> None:
    # 4 * 1e6 + 6 * 1e4 + 12 * 100 * (2 full layers * 100 + 10 layers in a window of 50)
    assert flops_per_token(SHAPE, 10_000, 100) == 4_000_000 + 60_000 + 12 * 100 * (200 + 500)
    assert flops_per_token(SHAPE, 10_000, 40) == 4_060_000 + 12 * 100 * 480


def test_utilisation_by_hand() -> None:
    # 16 rows of 100 tokens a step, 16,000 tokens/s, 4.9e6 FLOPs each, of 989.5e12 FLOP/s
    assert model_flops_utilisation(on_h100()) == pytest.approx(16_000 * 4.9e6 / 989.5e12, rel=1e-5)


def test_it_is_shown_with_the_throughput() -> None:
    verdict = judge(on_h100(), Context())

    assert verdict.evidence["model_flops_utilisation"] == pytest.approx(7.92e-5, rel=1e-3)
    assert "of the card's dense 16-bit peak" in verdict.message
    assert "model_flops_utilisation" not in judge(make_record(), Context()).evidence


@pytest.mark.parametrize(
    "changes",
    [
        {"hardware": {"name": "cpu"}},
        {"hardware": {"name": "h100-pcie"}},  # no peak in the profile
        {"hardware": {"name": "h100", "kind": "emulated"}},
        {"hardware": {"name": "a-card-without-profile"}},
        {"precision": {"weights": {"float32": 80}, "activations": {}, "logits": None}},
        {"model": None},
        {"adapter": None},
        {"rows": {"evaluation": rows(16, 4), "train": rows(0, 0)}},
        {"steps": steps(4, tokens=1600)},
    ],
    ids=str,
)
def test_what_is_not_known_gives_none(changes: dict[str, Any]) -> None:
    assert model_flops_utilisation(on_h100(**changes)) is None


def test_the_shape_is_that_of_the_config(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(
        '{"model_type": "gemma3_text", "hidden_size": 640, "num_hidden_layers": 18,'
        ' "num_attention_heads": 4, "num_key_value_heads": 1, "head_dim": 256,'
        ' "intermediate_size": 2048, "vocab_size": 262144, "sliding_window": 512}'
    )
    small = published()["270m"]

    assert model_shape(tmp_path) == ModelShape(
        matrix_parameters=small.parameters - small.norm_parameters,
        layers=18,
        query_channels=1024,
        sliding_window=512,
    )
    assert model_shape(tmp_path / "nowhere") is None
