import math
from typing import Any

import pytest

from harness.record import Difference, Record, Tokenizer
from harness.relations import merge, resume, save_reload
from harness.relations.deviation import relative
from tests.unit.afterwards import BASE_ROWS, FAILURE, ROWS, SAME, after, record
from tests.unit.records import NAN, evaluations, make_record, steps

RELATIONS = [save_reload, merge, resume]


def violated(relation: Any, found: Record) -> dict[str, tuple[float, str]]:
    return {
        d.quantity: (d.value, d.where) for d in relation.deviations({"run": found}) if d.value != 0
    }


@pytest.mark.parametrize("relation", RELATIONS)
def test_healthy_record_deviates_in_nothing(relation: Any) -> None:
    found = list(relation.deviations({"run": record()}))
    assert len(found) >= 6
    assert {d.value for d in found} == {0.0}


@pytest.mark.parametrize(
    ("relation", "kind"), [(save_reload, "trained"), (merge, "merge"), (resume, "resume")]
)
def test_run_that_was_not_asked_is_infinitely_far(relation: Any, kind: str) -> None:
    (only,) = relation.deviations({"run": make_record()})
    assert (only.quantity, only.value) == (kind, math.inf)


@pytest.mark.parametrize(
    ("relation", "kind"),
    [
        (save_reload, "trained"),
        (save_reload, "reload"),
        (merge, "merge"),
        (merge, "base"),
        (resume, "resume"),
    ],
)
def test_failure_is_the_deviation_and_says_why(relation: Any, kind: str) -> None:
    found = violated(relation, record(**{kind: {"failure": FAILURE}}))
    assert found == {kind: (math.inf, "load: ValueError: no such file")}


@pytest.mark.parametrize(
    ("kind", "quantity"), [("trained", "saved adapter"), ("reload", "loaded adapter")]
)
@pytest.mark.parametrize(
    ("adapter", "value", "where"),
    [
        (Difference(tensors=84, largest=0.5, where="layers.1.lora_B"), 0.5, "layers.1.lora_B"),
        (
            Difference(tensors=83, missing=["a"], largest=0.0),
            math.inf,
            "1 missing, 0 unexpected: a",
        ),
        (
            Difference(tensors=83, unexpected=["b"], largest=0.0),
            math.inf,
            "0 missing, 1 unexpected: b",
        ),
        (Difference(tensors=0), math.inf, "no tensors to compare"),
        (None, math.inf, "no tensors to compare"),
    ],
)
def test_adapter_that_is_not_the_file(
    kind: str, quantity: str, adapter: Difference | None, value: float, where: str
) -> None:
    found = violated(save_reload, record(**{kind: {"adapter": adapter}}))
    assert found == {quantity: (value, where)}


@pytest.mark.parametrize(("relation", "kind"), [(save_reload, "reload"), (merge, "merge")])
def test_one_row_that_moved_is_named(relation: Any, kind: str) -> None:
    found = violated(relation, record(**{kind: {"evaluations": after(4.27, [4.1, None, 8.8])}}))
    assert found == {"row losses": (relative(8.8, 4.4), "row 2")}


@pytest.mark.parametrize(("relation", "kind"), [(save_reload, "reload"), (merge, "merge")])
def test_other_losses(relation: Any, kind: str) -> None:
    found = violated(relation, record(**{kind: {"evaluations": after(4.27 * 1.1, ROWS)}}))
    assert set(found) == {"eval_loss", "token_loss"}
    assert found["token_loss"][0] == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("rows", "where"), [([4.1], "1 rows, not 3"), ([4.1, 4.0, 4.4], "row 1"), ([None] * 3, "row 0")]
)
def test_rows_that_are_missing(rows: list[float | None], where: str) -> None:
    found = violated(save_reload, record(reload={"evaluations": after(4.27, rows)}))
    assert found == {"row losses": (math.inf, where)}


def test_no_evaluation_at_all() -> None:
    found = violated(save_reload, record(reload={"evaluations": []}))
    assert found == {"token_loss": (math.inf, "no evaluation")}


@pytest.mark.parametrize(("relation", "kind"), [(save_reload, "reload"), (merge, "merge")])
def test_eos_token_that_changed_is_named(relation: Any, kind: str) -> None:
    other = Tokenizer(digest="bbbbbbbbbbbbbbbb", eos_token="<end_of_turn>")
    found = violated(relation, record(**{kind: {"tokenizer": other}}))
    assert found == {
        "tokenizer": (math.inf, ""),
        "eos token": (math.inf, "<eos> -> <end_of_turn>"),
    }


def test_merge_without_the_adapter_is_the_base() -> None:
    found = violated(merge, record(merge={"evaluations": after(6.74, BASE_ROWS)}))
    assert found["merged is the base"] == (math.inf, "their losses")


def test_schedule_that_starts_anew_is_dated() -> None:
    anew = [
        step.model_copy(update={"learning_rate": 2 * (step.learning_rate or 0.0)})
        for step in steps()[20:]
    ]
    assert violated(resume, record(resume={"steps": anew})) == {"learning rate": (1.0, "step 21")}


@pytest.mark.parametrize("quantity", ["raw_loss", "grad_norm"])
def test_one_step_that_moved_is_named(quantity: str) -> None:
    moved = steps()[20:]
    moved[3] = moved[3].model_copy(update={quantity: NAN})
    names = {"raw_loss": "step loss", "grad_norm": "grad_norm"}
    found = violated(resume, record(resume={"steps": moved}))
    assert found == {names[quantity]: (math.inf, "step 24")}


def test_steps_fed_again_or_not_at_all() -> None:
    found = violated(resume, record(resume={"steps": steps()}))
    assert found == {"steps": (math.inf, "steps 1 to 30 instead of steps 21 to 30")}


def test_evaluation_on_start_is_dropped_and_a_missing_one_is_not() -> None:
    on_start = evaluations(1.0, 4.73, 9.99, 4.27)[2:]
    assert violated(resume, record(resume={"evaluations": on_start})) == {}
    found = violated(resume, record(resume={"evaluations": on_start[:1]}))
    assert found == {"evaluations": (math.inf, "after steps [] instead of [30]")}


@pytest.mark.parametrize(
    ("field", "quantity"), [("adapter", "final adapter"), ("optimizer", "optimizer state")]
)
def test_end_state_that_is_another(field: str, quantity: str) -> None:
    other = SAME.model_copy(update={"largest": 0.25, "where": "0.exp_avg"})
    found = violated(resume, record(resume={field: other}))
    assert found == {quantity: (0.25, "0.exp_avg")}
