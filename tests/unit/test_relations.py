import io
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from rich.console import Console

from harness.errors import ConfigError, SelectionError
from harness.matrix import Cell, load_matrix
from harness.record import Record
from harness.relation_search import search
from harness.relation_settings import Settings, read_settings
from harness.relation_trials import Asked, Trial, judge, select
from harness.relations import Deviation, NotApplicable, Relation, all_relations
from harness.relations.deviation import flag, relative
from harness.reports import relations as report
from harness.verdict import Outcome, Verdict
from tests.unit.records import NAN, make_record, steps
from tests.unit.tolerances import allow

CELL = load_matrix().cell("reference-2026.10.9/cpu/float32/ragged")
UNSLOTH = load_matrix().cell("unsloth-2026.10.9/cpu/float32/ragged")
NOTHING_KNOWN = Settings.model_validate({"schema": 1, "cells": [CELL.id]})
RELATIONS = {relation.name: relation for relation in all_relations()}
PAIRS = ("accumulation", "attention", "gradient_checkpointing", "padding", "parity")


def records(name: str, *others: Record) -> dict[str, Record]:
    """Return records for a relation's variants: the first of `others`, then healthy ones."""
    cell = UNSLOTH if name in ("parity", "packing") else CELL
    made = [*others]
    names = list(RELATIONS[name].variants(cell))
    return {n: made.pop(0) if made else make_record() for n in names}


def measured(name: str, *others: Record) -> dict[str, float]:
    found: dict[str, float] = {}
    for one in RELATIONS[name].deviations(records(name, *others)):
        found[one.quantity] = max(one.value, found.get(one.quantity, 0.0))
    return found


def with_attention(record: Record, name: str) -> Record:
    assert record.executed is not None
    executed = record.executed.model_copy(update={"attention_implementation": name})
    return record.model_copy(update={"executed": executed})


@pytest.mark.parametrize("relation", all_relations(), ids=lambda r: r.name)
def test_each_relation_names_its_regression(relation: Relation) -> None:
    assert relation.summary.endswith(".")


@pytest.mark.parametrize("name", [n for n in PAIRS if n != "attention"])
def test_equal_runs_hold(name: str) -> None:
    assert set(measured(name).values()) == {0.0}


@pytest.mark.parametrize("name", [n for n in PAIRS if n != "attention"])
@pytest.mark.parametrize(
    ("change", "quantity"),
    [
        ({"steps": {"raw_loss": 4.0}}, "loss"),
        ({"steps": {"grad_norm": 9.0}}, "grad_norm"),
        ({"evaluations": [6.74, 4.73, 4.38, 4.0]}, "token_loss"),
    ],
)
def test_a_run_that_differs_is_measured(
    name: str, change: dict[str, object], quantity: str
) -> None:
    found = measured(name, make_record(**change))
    assert found[quantity] > 1e-3
    assert [q for q, value in found.items() if value] == [quantity]


@pytest.mark.parametrize("name", [n for n in PAIRS if n != "attention"])
def test_a_number_that_is_none_is_infinitely_far(name: str) -> None:
    assert measured(name, make_record(steps={"raw_loss": NAN}))["loss"] == math.inf


def test_runs_of_other_lengths_are_infinitely_far() -> None:
    assert measured("accumulation", make_record(steps=steps(29)))["loss"] == math.inf


def test_norms_are_left_out_where_they_are_rounding() -> None:
    half = make_record(precision={"activations": {"bfloat16": 6}, "autocast": "bfloat16"})
    assert "grad_norm" not in measured("accumulation", half, half)


def test_one_implementation_of_attention_says_nothing() -> None:
    with pytest.raises(NotApplicable, match="whatever is asked for"):
        measured("attention")
    sdpa, eager = (with_attention(make_record(), name) for name in ("sdpa", "eager"))
    assert set(measured("attention", sdpa, eager).values()) == {0.0}
    worse = with_attention(make_record(evaluations=[6.7, 4.7, 4.3, 4.0]), "sdpa")
    assert measured("attention", worse, eager)["token_loss"] > 1e-3


def test_an_evaluation_that_sees_its_batch_is_measured() -> None:
    assert measured("evaluation_batch_size") == {"token_loss": 0.0, "eval_loss": 0.0}
    other = make_record(evaluations=[6.74, 4.73, 4.38, 4.0])
    assert measured("evaluation_batch_size", make_record(), other)["token_loss"] > 1e-3


def test_learning_rate_must_matter_and_must_not_at_0() -> None:
    still = make_record(evaluations=[6.7] * 4, adapter={"digest_before": "a", "digest_after": "a"})
    faster = make_record(evaluations=[6.74, 4.0, 3.0, 2.0])
    held = {"eval_loss at rate 0": 0.0, "adapter at rate 0": 0.0, "two rates part": 0.0}
    assert measured("learning_rate", still, make_record(), faster) == held
    assert measured("learning_rate", still)["two rates part"] == math.inf
    moved = measured("learning_rate", make_record(), make_record(), faster)
    assert moved["adapter at rate 0"] == math.inf
    assert moved["eval_loss at rate 0"] > 1e-2


def test_packing_is_compared_before_training_only_where_the_library_packs() -> None:
    with pytest.raises(NotApplicable, match="does not pack"):
        measured("packing")
    record = make_record()
    assert record.executed is not None
    executed = record.executed.model_copy(update={"arguments": {"packing": True}})
    packs = record.model_copy(update={"executed": executed})
    assert set(measured("packing", packs).values()) == {0.0}
    other = make_record(evaluations=[6.0, 4.7, 4.3, 4.2]).model_copy(update={"executed": executed})
    assert measured("packing", other)["token_loss before training"] > 1e-2


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("packing", CELL),
        ("parity", CELL),
        ("parity", load_matrix().cell("unsloth-2026.10.9/t4-emulated/auto/ragged")),
        ("accumulation", CELL.varied({"batch_size": 1})),
        ("attention", CELL.varied({"lora.dropout": 0.1})),
    ],
)
def test_a_cell_it_has_nothing_to_say_of_is_skipped(name: str, cell: Cell) -> None:
    asked = Asked.of(RELATIONS[name], cell)
    assert asked.variants == {}
    trial = judge(asked.relation, cell, {}, NOTHING_KNOWN, asked.skipped)
    assert trial.verdict.outcome is Outcome.SKIPPED


def relation(*deviations: Deviation, name: str = "accumulation") -> Relation:
    def found(records: object) -> Iterator[Deviation]:
        yield from deviations

    return Relation(name, "s.", lambda cell: {"run": cell}, found)


def test_parity_compares_no_numbers_of_runs_that_train_something_else() -> None:
    fewer = make_record(steps=steps(29))
    assert measured("parity", fewer) == {"trainable parameters": 0.0, "optimizer steps": math.inf}
    wider = make_record(adapter={"trainable_parameters": 1})
    assert measured("parity", wider)["trainable parameters"] == math.inf


def outcome(*deviations: Deviation, settings: Settings = NOTHING_KNOWN) -> Verdict:
    return judge(relation(*deviations), CELL, {"run": make_record()}, settings).verdict


def test_the_measured_tolerance_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    allow(monkeypatch, "accumulation", "loss")
    assert outcome(Deviation("loss", 9e-7, "w")).outcome is Outcome.PASS
    said = outcome(Deviation("loss", 2e-6, "step 3"))
    assert said.outcome is Outcome.FAIL
    assert "loss (step 3) deviates by 2e-06, allowed 1e-06" in said.message


def test_without_a_tolerance_it_is_uncalibrated_but_what_is_exact(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    allow(monkeypatch, "other", "loss")
    assert outcome(Deviation("loss", 0.0, "w")).outcome is Outcome.UNCALIBRATED
    assert outcome(flag("moved", violated=False)).outcome is Outcome.PASS
    assert outcome(flag("moved", violated=True)).outcome is Outcome.FAIL
    assert outcome(Deviation("loss", math.inf, "w")).outcome is Outcome.FAIL


def test_a_finding_is_said_and_does_not_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    allow(monkeypatch, "accumulation", "token_loss")
    known = [{"relation": "accumulation", "quantity": "loss", "finding": "f.md"}]
    settings = Settings.model_validate({"schema": 1, "cells": ["c"], "known": known})
    said = outcome(Deviation("loss", 0.5, "w"), Deviation("token_loss", 0.0), settings=settings)
    assert said.outcome is Outcome.PASS
    assert "known: loss (w) deviates by 0.5 (f.md)" in said.message


def test_a_finding_is_of_its_stacks_and_alone_is_no_pass() -> None:
    known = {"relation": "accumulation", "quantity": "steps", "finding": "f.md"}
    for stack, expected in (("reference-*", Outcome.SKIPPED), ("unsloth-*", Outcome.FAIL)):
        entry = {**known, "stack": stack}
        settings = Settings.model_validate({"schema": 1, "cells": ["c"], "known": [entry]})
        assert outcome(flag("steps", violated=True), settings=settings).outcome is expected


def test_a_run_that_did_not_finish_is_the_answer() -> None:
    crashed = make_record(status="TIMEOUT")
    trial = judge(relation(), CELL, {"run": crashed}, NOTHING_KNOWN)
    assert trial.verdict.outcome is Outcome.TIMEOUT


def test_every_known_violation_has_its_page() -> None:
    settings = read_settings()
    names = set(RELATIONS)
    root = Path(__file__).parents[2]
    assert all(k.relation in names and (root / k.finding).is_file() for k in settings.known)
    matrix = load_matrix()
    assert all(matrix.cell(cell) for cell in settings.cells)


def test_settings_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "relations.toml"
    with pytest.raises(ConfigError, match="cannot read"):
        read_settings(file)
    file.write_text("schema = ")
    with pytest.raises(ConfigError, match="not TOML"):
        read_settings(file)
    file.write_text("schema = 1\ncells = []\n")
    with pytest.raises(ConfigError, match="cells"):
        read_settings(file)


def test_unknown_relation_names_those_there_are() -> None:
    with pytest.raises(SelectionError, match="accumulation"):
        select(["acumulation"])
    assert select([]) == all_relations()


def trial_of(cell: Cell, *, fails: bool) -> Trial:
    answer = Outcome.FAIL if fails else Outcome.PASS
    verdict = Verdict(check="accumulation", cell_id=cell.id, outcome=answer, message="m")
    return Trial(RELATIONS["accumulation"], cell, (Deviation("loss", 1e-7),), "float32", verdict)


def test_search_shrinks_to_the_smallest_recipe_and_prints_its_command() -> None:
    def broken(cell: Cell) -> Trial:
        recipe = cell.recipe
        return trial_of(cell, fails=recipe.gradient_accumulation >= 3 and recipe.responses_only)

    result = search([CELL], broken, examples=300, seed=0)
    assert result.smallest is not None
    assert result.smallest.cell.id == f"{CELL.id}+gradient_accumulation=3+responses_only=true"
    lines = list(report.found(RELATIONS["accumulation"], result))
    assert lines[-1] == (
        f"  again: harness relations accumulation --cell {CELL.id}"
        "+gradient_accumulation=3+responses_only=true"
    )
    *_, again = report.found(RELATIONS["accumulation"], result, Path("a fault.py"))
    assert again.endswith("--fault 'a fault.py'")


def test_search_that_finds_nothing_says_how_far_it_looked() -> None:
    result = search([CELL], lambda cell: trial_of(cell, fails=False), examples=5, seed=0)
    assert (result.smallest, len(result.trials)) == (None, 5)
    (line,) = report.found(RELATIONS["accumulation"], result)
    assert line == "accumulation: 5 recipes tried; it held"


def test_tolerances_come_from_clean_trials_only() -> None:
    bad = Trial(
        RELATIONS["accumulation"],
        CELL,
        (Deviation("loss", math.inf),),
        "float32",
        trial_of(CELL, fails=True).verdict,
    )
    seeds = [trial_of(CELL.varied({"seed": n}), fails=False) for n in range(3)]
    text = report.tolerances([*seeds, seeds[0], bad], "the command")
    assert 'of = "accumulation"\nquantity = "loss"\ndtype = "float32"\nrelative = 5e-07' in text
    assert "largest = 1e-07\nruns = 3\n" in text


def test_the_tables_name_relation_cell_and_answer() -> None:
    trials = [trial_of(CELL, fails=False), trial_of(CELL, fails=True)]
    console = Console(file=io.StringIO(), width=200)
    console.print(report.render(trials))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    assert "accumulation" in shown
    assert "1 PASS, 1 FAIL" in shown
    text = report.markdown(trials, ["accumulation: 5 recipes tried; it held"], "cmd")
    assert f"| `accumulation` | `{CELL.id}` | ✗ FAIL | m |" in text
    assert "5 recipes tried" in text


@pytest.mark.parametrize(
    ("a", "b", "value"),
    [
        (1.0, 1.0, 0.0),
        (1.1, 1.0, 0.1),
        (-1.0, 1.0, 2.0),
        (0.0, 0.0, 0.0),
        (1.0, 0.0, math.inf),
        (None, 1.0, math.inf),
        (NAN, NAN, math.inf),  # a figure that is no number holds nothing
        (math.inf, math.inf, math.inf),
    ],
)
def test_relative(a: float | None, b: float, value: float) -> None:
    assert relative(a, b) == pytest.approx(value)
