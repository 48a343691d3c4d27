"""What a token of a row keeps for the backward pass, by attention and checkpointing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.activation_memory import memory_slope
from harness.checks import Context
from harness.checks.memory_slope import judge
from harness.figures import memory_figures
from harness.record import Probe
from harness.verdict import Outcome, Verdict
from tests.unit.records import activation_memory, make_record


def verdict_on(
    matrices: float, layer_inputs: float = 39.0, *, attention: str = "eager", on: bool = False
) -> Verdict:
    record = make_record(
        probe={"activation_memory": activation_memory(matrices, layer_inputs)},
        executed={"attention_implementation": attention},
        recipe={"gradient_checkpointing": on},
    )
    return judge(record, Context())


@given(st.floats(0, 8), st.floats(0.5, 60))
def test_figures_are_in_the_units_that_they_were_made_of(matrices: float, inputs: float) -> None:
    slope = memory_slope(activation_memory(matrices, inputs))

    assert slope is not None
    assert slope.attention_matrices == pytest.approx(matrices, abs=0.01)
    assert slope.logits_per_token == 4 * 768
    # A secant from 32 to 256 tokens has the quadratic part of 288 tokens in it.
    assert slope.layer_inputs == pytest.approx(inputs + matrices * 4 * 288 / 128, rel=0.01)


@pytest.mark.parametrize(("attention", "matrices"), [("eager", 1.5), ("sdpa", 0.12)])
def test_what_clean_runs_keep_passes(attention: str, matrices: float) -> None:
    assert verdict_on(matrices, attention=attention).outcome is Outcome.PASS


@pytest.mark.parametrize("attention", ["sdpa", "flash_attention_2", "unknown"])
def test_fused_attention_that_keeps_matrices_fails(attention: str) -> None:
    verdict = verdict_on(1.0, attention=attention)

    assert verdict.outcome is Outcome.FAIL
    assert verdict.diagnosis == (f"{attention} attention keeps matrices of tokens x tokens",)


def test_eager_attention_that_keeps_copies_fails() -> None:
    assert verdict_on(3.0).outcome is Outcome.FAIL


def test_checkpointing_that_keeps_layer_inputs_passes() -> None:
    verdict = verdict_on(0.0, 1.2, on=True)

    assert verdict.outcome is Outcome.PASS
    assert "checkpointing 1.2 inputs a layer" in verdict.message


def test_checkpointing_that_keeps_everything_fails() -> None:
    verdict = verdict_on(1.0, on=True)

    assert verdict.outcome is Outcome.FAIL
    assert verdict.diagnosis == ("gradient checkpointing is asked for and does not take place",)


def test_without_checkpointing_everything_may_be_kept() -> None:
    assert verdict_on(1.0, 300.0).outcome is Outcome.PASS


def test_a_record_without_it_is_skipped() -> None:
    assert judge(make_record(probe=None), Context()).outcome is Outcome.SKIPPED
    assert judge(make_record(probe=Probe()), Context()).outcome is Outcome.SKIPPED


def test_why_it_ended_early_is_said() -> None:
    early = activation_memory()
    early = early.model_copy(update={"points": early.points[:2], "problem": "RuntimeError: no"})
    verdict = judge(make_record(probe={"activation_memory": early}), Context())

    assert (verdict.outcome, verdict.message) == (Outcome.SKIPPED, "RuntimeError: no")


def test_without_the_loss_there_is_no_figure_to_compare() -> None:
    partial = activation_memory().model_copy(update={"without_loss": True})
    record = make_record(probe={"activation_memory": partial})

    assert judge(record, Context()).outcome is Outcome.PASS
    assert "without the loss" in judge(record, Context()).message
    assert "bytes_per_token" not in memory_figures(record)


def test_bytes_per_token_have_a_baseline() -> None:
    kept = memory_figures(make_record())["bytes_per_token"]
    with_peak = make_record(probe={"activation_memory": activation_memory(peak=300_000)})

    assert kept == pytest.approx(4 * (768 + 6 * (128 * 39 + 4 * 288)))
    assert memory_figures(with_peak)["bytes_per_token"] == pytest.approx(300_000)
