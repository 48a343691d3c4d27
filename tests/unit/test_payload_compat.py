"""Names that differ between releases, with stand-ins for the releases' own classes."""

import sys
from types import SimpleNamespace
from typing import Any

import pytest

from harness.payload import compat


class Before456:
    torch_dtype = None


class Since456(Before456):
    dtype = None


class TextModel:
    def forward(self, input_ids: Any, attention_mask: Any = None) -> None: ...


class VisionModel:
    def forward(self, input_ids: Any, token_type_ids: Any = None) -> None: ...


class Peft:
    def __init__(self, base: Any) -> None:
        self._base = base

    def get_base_model(self) -> Any:
        return self._base

    def forward(self, *args: Any, **kwargs: Any) -> None: ...


@pytest.fixture
def transformers(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    module = SimpleNamespace(AutoModelForCausalLM=TextModel, VisionModel=VisionModel)
    monkeypatch.setitem(sys.modules, "transformers", module)
    return module


@pytest.mark.parametrize(
    ("config", "name"), [(Before456, "torch_dtype"), (Since456, "dtype")], ids=["4.50", "4.56"]
)
def test_dtype_has_the_name_of_the_release(
    transformers: SimpleNamespace, config: type, name: str
) -> None:
    transformers.PretrainedConfig = config
    options = {"dtype": "float32", "attn_implementation": "eager"}
    expected = {name: "float32", "attn_implementation": "eager"}
    assert compat.loading_options(options) == expected


@pytest.mark.parametrize(
    ("architectures", "expected"),
    [
        (["VisionModel"], VisionModel),
        (["NotInThisRelease", "VisionModel"], VisionModel),
        (["NotInThisRelease"], TextModel),
        (None, TextModel),
    ],
)
def test_class_is_the_one_the_checkpoint_names(
    transformers: SimpleNamespace, architectures: list[str] | None, expected: type
) -> None:
    config = SimpleNamespace(architectures=architectures)
    transformers.AutoConfig = SimpleNamespace(from_pretrained=lambda folder: config)
    assert compat.model_class("folder") is expected


@pytest.mark.parametrize(
    ("model", "takes"),
    [(VisionModel(), True), (TextModel(), False), (Peft(VisionModel()), True), (Peft(TextModel()), False)],
)  # fmt: skip
def test_token_type_ids_are_for_the_model_that_takes_them(model: Any, takes: bool) -> None:
    assert compat.takes_token_type_ids(model) is takes


def _unsloth_of_2025_3(self: Any, iterator: Any, count: int) -> int:
    return count


def _unsloth_of_2026_10(self: Any, *args: Any, **kwargs: Any) -> int:
    return len(args)


@pytest.mark.parametrize(
    ("original", "patched"), [(_unsloth_of_2025_3, True), (_unsloth_of_2026_10, False)]
)
def test_only_a_get_batch_samples_that_takes_no_device_is_patched(
    transformers: SimpleNamespace, original: Any, patched: bool
) -> None:
    transformers.Trainer = type("Trainer", (), {"get_batch_samples": original})
    assert compat._let_batch_samples_take_device() is patched
    assert transformers.Trainer().get_batch_samples(iter(()), 3, "cpu") == 3


def test_cache_is_switched_off_in_the_decoders_own_config_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(compat, "_cache_breaks_evaluation", lambda: True)
    monkeypatch.setattr(compat, "_let_batch_samples_take_device", lambda: False)
    whole, decoder, layer = (SimpleNamespace(config=SimpleNamespace(use_cache=True)) for _ in "123")
    layer.config = SimpleNamespace()
    whole.modules = lambda: (whole, decoder, layer, SimpleNamespace())

    (mended,) = compat.mend(whole)

    assert "cache" in mended
    assert not whole.config.use_cache
    assert not decoder.config.use_cache
    assert layer.config == SimpleNamespace()


def test_former_name_is_used_and_a_stranger_is_refused() -> None:
    def build(evaluation_strategy: str) -> None: ...

    assert compat.accepted(build, {"eval_strategy": "epoch"}) == {"evaluation_strategy": "epoch"}
    with pytest.raises(TypeError, match="learning_rate"):
        compat.accepted(build, {"learning_rate": 1.0})
