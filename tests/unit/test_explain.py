from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.explain.explanation import Explanation, Row, Sameness, explain
from harness.explain.first_step import FirstStep
from tests.unit.first_steps import LORA, NAMES, ROWS, changed, first_step, packed, padded

MLP = "training/activation/layers.1.mlp"


def first(a: FirstStep, b: FirstStep) -> Row:
    row = explain(a, b).first
    assert row is not None
    return row


def scaled(step: FirstStep, key: str, factor: float, **entry: Any) -> FirstStep:
    value = (step.tensors[key] * np.float32(factor)).astype(step.tensors[key].dtype)
    return changed(step, key, value, **entry)


def row(explanation: Explanation, phase: str, title: str) -> Row:
    return next(r for r in explanation.rows if (r.phase, r.title) == (phase, title))


KEYS = list(first_step().tensors)


@given(st.sampled_from([padded(), packed()]), st.sampled_from(["float32", "bfloat16"]))
def test_nothing_differs_from_itself(batch: Any, dtype: str) -> None:
    step = first_step(batch, dtype=dtype)
    found = explain(step, step)
    assert found.first is None
    assert {r.sameness for r in found.rows} == {Sameness.SAME}


@given(st.lists(st.tuples(st.sampled_from(KEYS), st.sampled_from([0.0, 1 + 1e-7, 1.1]))))
def test_verdicts_do_not_depend_on_the_side(changes: list[tuple[str, float]]) -> None:
    a = b = first_step()
    for key, factor in changes:
        if "/batch/" not in key:
            b = scaled(b, key, factor)
    there, back = explain(a, b), explain(b, a)
    assert [(r.title, r.sameness) for r in there.rows] == [(r.title, r.sameness) for r in back.rows]


@given(st.permutations([key for key in KEYS if "/activation/" in key]), st.integers(1, 4))
def test_the_first_of_several_is_named(keys: list[str], count: int) -> None:
    a = b = first_step()
    for key in keys[:count]:
        b = scaled(b, key, 1.5)
    earliest = min(keys[:count], key=KEYS.index)
    assert (first(a, b).phase, first(a, b).name) == tuple(earliest.split("/activation/"))


@pytest.mark.parametrize(
    ("key", "title"),
    [
        ("evaluation/activation/embed_tokens", "embed_tokens"),
        (MLP, "layers.1.mlp"),
        ("evaluation/loss/loss", "loss"),
        ("training/normaliser/normaliser", "normaliser"),
        (f"training/gradient/{LORA[1]}", f"gradient of {LORA[1]}"),
        (f"training/update/{LORA[1]}", f"update of {LORA[1]}"),
    ],
)
def test_each_kind_is_compared(key: str, title: str) -> None:
    found = explain(first_step(), scaled(first_step(), key, 2))
    assert [r.title for r in found.rows if r.sameness is Sameness.DIFFERS] == [title]
    assert title in found.sentence


def test_every_kind_has_its_place_in_the_order_of_computation() -> None:
    titles = [r.title for r in explain(first_step(), first_step()).rows if r.phase == "training"]
    assert titles == [
        "input ids",
        "labels",
        "supervised tokens",
        "normaliser",
        *NAMES,
        "loss",
        *(f"initial adapter {name}" for name in LORA),
        *(f"gradient of {name}" for name in LORA[::-1]),
        *(f"update of {name}" for name in LORA),
    ]


def test_padded_and_packed_batches_are_the_same() -> None:
    found = explain(first_step(padded()), first_step(packed()))
    assert found.first is None
    assert "2 x 5" in row(found, "training", "input ids").note
    assert "1 x 8, packed" in row(found, "training", "input ids").note


def test_a_row_that_attends_to_another_differs_when_packed() -> None:
    key = "evaluation/activation/layers.0.self_attn"
    mixed = first_step(packed())
    value = mixed.tensors[key].copy()
    value[0, len(ROWS[0]) :] *= 1.5
    assert first(first_step(), changed(mixed, key, value)).name == "layers.0.self_attn"


def test_padding_is_not_compared() -> None:
    value = first_step().tensors[MLP].copy()
    value[0, 3:] = np.nan
    assert explain(first_step(), changed(first_step(), MLP, value)).first is None


def test_rows_in_another_order_are_named_and_paired() -> None:
    found = explain(first_step(), first_step(padded(ROWS[::-1])))
    assert row(found, "training", "input ids").note == "the same rows in another order"
    differ = {r.title for r in found.rows if r.sameness is Sameness.DIFFERS}
    assert differ == {"input ids"}


def test_a_missing_eos_is_named_and_the_tokens_before_it_are_compared() -> None:
    found = explain(first_step(), first_step(padded([ROWS[0], ROWS[1][:-1]])))
    assert "row 2: 5 tokens against 4, token 5 is 1 against none" in found.sentence
    assert row(found, "training", "layers.1").sameness is Sameness.SAME


def test_other_labels_are_named() -> None:
    labels = padded()["labels"].copy()
    labels[1, 2] = -100
    found = explain(first_step(), first_step({**padded(), "labels": labels}))
    assert row(found, "training", "labels").note == "row 2, token 3: 6 against -100"
    assert row(found, "training", "supervised tokens").note == "6 against 5"


def test_a_label_across_packed_rows_is_counted() -> None:
    leaking = {**packed(), "labels": packed()["input_ids"]}
    found = explain(first_step(packed()), first_step(leaking))
    assert row(found, "training", "labels").sameness is Sameness.SAME
    assert row(found, "training", "supervised tokens").note == "6 against 7"


@pytest.mark.parametrize(
    ("dtypes", "sameness"),
    [
        (("float32", "float32"), Sameness.DIFFERS),
        (("float16", "float32"), Sameness.DIFFERS),
        (("bfloat16", "float32"), Sameness.ROUNDING),
    ],
)
def test_the_coarser_dtype_explains(dtypes: tuple[str, str], sameness: Sameness) -> None:
    a, b = (first_step(dtype=dtype) for dtype in dtypes)
    found = row(explain(a, scaled(b, MLP, 1.01)), "training", "layers.1.mlp")
    assert found.sameness is sameness
    assert found.dtypes == dtypes


def test_a_coarse_tensor_explains_what_comes_after_it_and_not_what_came_before() -> None:
    key = "training/activation/layers.0.mlp"
    coarse = changed(first_step(), key, first_step().tensors[key], dtype="bfloat16")
    after = scaled(coarse, MLP, 1.01)
    before = scaled(coarse, "training/activation/layers.0.self_attn", 1.01)
    assert explain(first_step(), after).first is None
    assert first(first_step(), before).name == "layers.0.self_attn"


def test_weights_explain_rounding_from_the_start() -> None:
    key = "evaluation/activation/embed_tokens"
    b = scaled(first_step(weights=["bfloat16", "float32"]), key, 1.001)
    assert explain(first_step(), b).first is None


def test_values_clamped_at_float16s_limit_are_no_rounding() -> None:
    a = first_step(dtype="bfloat16")
    b = scaled(first_step(dtype="float16"), MLP, 1.001, saturated=3)
    assert explain(b, a).sentence == (
        "First difference: training, layers.1.mlp: "
        "3 values stand at float16's limit of 65504 against 0."
    )
    assert first(a, b).name == "layers.1.mlp"


def test_a_gradient_lost_to_zero_is_named() -> None:
    found = explain(first_step(), scaled(first_step(), f"training/gradient/{LORA[3]}", 0))
    assert "every value is 0 on the second side" in found.sentence


def test_a_value_that_is_not_finite_on_one_side_differs() -> None:
    value = first_step().tensors[MLP].copy()
    value[0, 0, 0] = np.inf
    b = changed(first_step(dtype="bfloat16"), MLP, value)
    assert "1 values are not finite" in explain(b, first_step(dtype="bfloat16")).sentence
    assert explain(b, b).first is None


def test_another_initial_adapter_is_not_blamed_on_the_gradient() -> None:
    b = scaled(first_step(), f"training/adapter/{LORA[0]}", -1)
    b = scaled(b, f"training/gradient/{LORA[1]}", 3)
    assert "different initial adapter" in explain(first_step(), b).sentence


def test_an_initial_adapter_that_was_rounded_is_rounding() -> None:
    b = scaled(first_step(weights=["float16"]), f"training/adapter/{LORA[0]}", 1.0002)
    assert explain(first_step(), b).first is None


def test_what_one_side_alone_has_is_no_difference() -> None:
    a, b = first_step(), first_step()
    b.entries[:] = [entry for entry in b.entries if entry.name != "logits"]
    found = row(explain(a, b), "training", "logits")
    assert (found.sameness, found.note) == (Sameness.NOT_COMPARED, "only on the first side")
    assert explain(a, b).first is None


def test_tensors_cut_by_different_strides_are_compared_where_both_were_kept() -> None:
    a = first_step()
    b = changed(a, MLP, a.tensors[MLP][..., ::2], stride=2)
    assert row(explain(a, b), "training", "layers.1.mlp").sameness is Sameness.SAME
