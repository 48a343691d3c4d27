"""A real first step: taking it apart changes nothing, and a changed layer is found."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from harness.explain.explanation import Explanation, Sameness, explain
from harness.explain.run import Side, sides
from harness.plan import Options, Plan
from tests.integration.conftest import Judge

CELL = "reference-2026.10.9/cpu/float32/mild"

pytestmark = pytest.mark.trains


def taken_apart(fault: Path | None = None) -> Side:
    (side,) = sides(Plan(Options(fault=fault)), [CELL], Console(file=io.StringIO()))
    return side


@pytest.fixture(scope="module")
def clean() -> Side:
    return taken_apart()


@pytest.fixture(scope="module")
def found(clean: Side) -> Explanation:
    return explain(
        clean.first_step, taken_apart(Path(__file__).with_name("scaled_mlp.py")).first_step
    )


def test_a_run_with_and_without_evidence_is_bitwise_equal(judge: Judge, clean: Side) -> None:
    plain, watched = judge(CELL).record, clean.result.record
    assert (plain.extras, watched.extras) == ([], ["first_step"])
    assert plain.key != watched.key
    assert watched.eval_losses == plain.eval_losses
    assert [s.raw_loss for s in watched.steps] == [s.raw_loss for s in plain.steps]
    assert [s.grad_norm for s in watched.steps] == [s.grad_norm for s in plain.steps]
    assert watched.adapter == plain.adapter


def test_a_second_time_it_is_reused(clean: Side) -> None:
    again = taken_apart()
    assert (clean.result.reused, again.result.reused) == (False, True)
    assert explain(clean.first_step, again.first_step).first is None


def test_the_layer_that_a_fault_changes_is_named(found: Explanation) -> None:
    assert found.first is not None
    assert (found.first.phase, found.first.name) == ("evaluation", "layers.3.mlp")
    assert found.first.deviation == pytest.approx(1e-3, rel=1e-2)


def test_nothing_before_that_layer_differs_in_training_either(found: Explanation) -> None:
    training = [row for row in found.rows if row.phase == "training"]
    names = [row.name for row in training]
    before = training[: names.index("layers.3.mlp")]
    assert {row.sameness for row in before} == {Sameness.SAME}
    assert {row.what for row in training if row.sameness is Sameness.DIFFERS} >= {
        "activation",
        "gradient of",
        "update of",
    }
