from typing import Any

import pytest

from harness.checks import Context
from harness.checks.lora_as_asked import judge
from harness.record import LoraModules, Record
from harness.verdict import Outcome
from tests.unit.records import LAYERS, make_record


def with_lora(*modules: str, **settings: Any) -> Record:
    usual = {"layers": LAYERS, "r": 8, "scaling": 2.0, "dropout": 0.0, **settings}
    lora = [LoraModules(module=module, **usual) for module in modules]
    return make_record(
        adapter={"lora": lora},
        recipe={
            "lora": {"r": 8, "alpha": 16, "dropout": 0.0, "target_modules": ["q_proj", "v_proj"]}
        },
    )


def test_the_projections_and_settings_of_the_recipe_pass() -> None:
    assert judge(make_record(), Context()).outcome is Outcome.PASS
    verdict = judge(with_lora("q_proj", "v_proj"), Context())
    assert verdict.outcome is Outcome.PASS
    assert "2 projections in each of 6 layers" in verdict.message


@pytest.mark.parametrize(
    ("record", "says"),
    [
        (with_lora("q_proj", "v_proj", "up_proj"), "on up_proj, which the recipe leaves alone"),
        (with_lora("q_proj"), "no LoRA is on v_proj"),
        (with_lora("q_proj", "v_proj", r=16), "r is 16, the recipe has 8"),
        (with_lora("q_proj", "v_proj", scaling=1.0), "scaling is 1, the recipe has 2"),
        (with_lora("q_proj", "v_proj", dropout=0.1), "dropout is 0.1, the recipe has 0"),
    ],
)
def test_another_adapter_fails(record: Record, says: str) -> None:
    verdict = judge(record, Context())
    assert verdict.outcome is Outcome.FAIL
    assert says in verdict.message
    assert verdict.advice


def test_a_layer_without_the_adapter_fails() -> None:
    lora = [
        LoraModules(module=module, layers=layers, r=8, scaling=2.0, dropout=0.0)
        for module, layers in (("q_proj", 6), ("v_proj", 5))
    ]
    verdict = judge(
        with_lora("q_proj", "v_proj").model_copy(
            update={"adapter": make_record(adapter={"lora": lora}).adapter}
        ),
        Context(),
    )
    assert verdict.outcome is Outcome.FAIL
    assert "LoRA is on v_proj in 5 of 6 layers" in verdict.message


def test_layers_with_settings_of_their_own_are_told() -> None:
    odd = LoraModules(module="q_proj", layers=1, r=4, scaling=4.0, dropout=0.0)
    record = with_lora("q_proj", "v_proj")
    assert record.adapter is not None
    record.adapter.lora.append(odd)
    verdict = judge(record, Context())
    assert "r is 4, the recipe has 8" in verdict.message


def test_an_older_record_is_skipped() -> None:
    assert judge(make_record(adapter={"lora": []}), Context()).outcome is Outcome.SKIPPED
