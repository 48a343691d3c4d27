import math
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from harness.cli import fidelity as cli_fidelity
from harness.cli.main import app
from harness.dispatch.dispatcher import Result
from harness.fidelity import Pairing, pair, without_counterpart
from harness.record import Record, write_record
from harness.reports.fidelity import markdown, summary
from tests.unit.records import evaluations, make_record

STACK = "unsloth-2026.10.9"


def emulated(card: str = "h200", recipe: str = "mild", **changes: Any) -> Record:
    return make_record(
        cell_id=f"{STACK}/{card}-emulated/auto/{recipe}",
        recipe_digest=recipe,
        hardware={"name": f"{card}-emulated", "kind": "emulated", "device": "EPYC"},
        **changes,
    )


def real(card: str = "h200", recipe: str = "mild", **changes: Any) -> Record:
    over = {} if card == "h200" else {"device_capability": "9.0"}
    slug = card if card == "h200" else f"{card}-over-h200"
    kind = "native" if card == "h200" else "emulated"
    hardware = {"name": slug, "kind": kind, "device": "NVIDIA H200", "compute_capability": "9.0"}
    fields = {
        "cell_id": f"{STACK}/{slug}/auto/{recipe}",
        "recipe_digest": recipe,
        "hardware": {**hardware, **over},
    }
    return make_record(**{**fields, **changes})


def test_a_card_is_paired_with_itself_and_a_shown_card_with_what_it_is_shown_over() -> None:
    records = [emulated(), real(), emulated("t4"), real("t4"), emulated(recipe="hot")]
    assert [pairing.name for pairing in pair(records)] == [
        f"{STACK}/h200/auto/mild",
        f"{STACK}/t4/auto/mild",
    ]


def test_a_native_cpu_is_no_emulation() -> None:
    assert pair([make_record(), real()]) == []


def test_equal_runs_differ_in_nothing() -> None:
    (pairing,) = pair([emulated(), real()])
    assert pairing.differing == {}
    assert pairing.loss_difference == 0


def test_a_decision_that_differs_is_named() -> None:
    (pairing,) = pair([emulated(), real(precision={"autocast": "bfloat16"})])
    assert pairing.differing["autocast"][1] == "bfloat16"
    assert "autocast" in markdown([pairing], "harness fidelity F")
    assert "0 of 1 cells" in summary([pairing])[0]


def test_the_largest_difference_of_any_evaluation_counts() -> None:
    ours, theirs = evaluations(4.0, 3.0, 2.0, 1.0), evaluations(4.0, 3.3, 2.0, 1.0)
    (pairing,) = pair([emulated(evaluations=ours), real(evaluations=theirs)])
    assert pairing.loss_difference == pytest.approx(0.3 / 3.3)


@pytest.mark.parametrize("losses", [[], [4.0, float("nan"), 2.0, 1.0], [4.0, 3.0]])
def test_losses_that_cannot_be_compared_are_no_agreement(losses: list[float]) -> None:
    pairing = Pairing(
        emulated(evaluations=evaluations(4.0, 3.0, 2.0, 1.0)),
        real(evaluations=evaluations(*losses)),
    )
    assert math.isnan(pairing.loss_difference)
    assert "not finite or incomplete in 1" in " ".join(summary([pairing]))


def test_faulted_and_broken_runs_are_left_out() -> None:
    assert pair([emulated(fault="nan_gradients"), real()]) == []
    assert pair([emulated(status="CRASHED"), real()]) == []


def test_nothing_to_compare_is_not_green(tmp_path: Path) -> None:
    write_record(real(), tmp_path / "a.json")
    (tmp_path / "b.json").write_text("{}")
    done = CliRunner().invoke(app, ["fidelity", str(tmp_path)])
    assert done.exit_code == 1
    assert "nothing is compared" in done.output


def test_equal_pairs_are_green(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_REPORTS", str(tmp_path / "reports"))
    write_record(real(), tmp_path / "a.json")
    write_record(emulated(), tmp_path / "b.json")
    assert CliRunner().invoke(app, ["fidelity", str(tmp_path)]).exit_code == 0


# --- what is to be trained beside what was measured


def test_the_emulated_counterpart_of_each_tiny_cell_is_named_once() -> None:
    records = [real(), real(), real("t4"), emulated("t4")]
    assert [cell.id for cell in without_counterpart(records)] == [
        f"{STACK}/h200-emulated/auto/mild"
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"stack": {"name": "reference-2026.10.9", "family": "reference"}},
        {"status": "CRASHED"},
        {"fault": "nan_gradients"},
    ],
)
def test_what_a_cpu_cannot_compute_or_nobody_compares_is_not_trained(
    changes: dict[str, Any],
) -> None:
    assert without_counterpart([real(**changes)]) == []


@pytest.mark.parametrize("model", ["fixture:4b", "/a/checkpoint"])
def test_a_model_that_is_not_tiny_is_not_trained_on_a_cpu(model: str) -> None:
    assert without_counterpart([of_recipe(model=model)]) == []


def test_the_counterpart_has_the_records_own_recipe() -> None:
    (cell,) = without_counterpart([of_recipe(batch_size=2)])
    assert cell.recipe.batch_size == 2


def of_recipe(**fields: Any) -> Record:
    record = real()
    return record.model_copy(update={"recipe": {**record.recipe, **fields}})


def test_train_runs_what_is_missing_and_compares(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    class Trains:
        def __init__(self, options: Any) -> None: ...

        def once(self, cell: Any) -> Any:
            return cell

        def execute(self, runs: list[Any], console: Any) -> list[Any]:
            asked.extend(cell.id for cell in runs)
            return [Result(run, emulated(), reused=False) for run in runs]

    monkeypatch.setattr(cli_fidelity, "Plan", Trains)
    monkeypatch.setenv("HARNESS_REPORTS", str(tmp_path / "reports"))
    write_record(real(), tmp_path / "a.json")
    words = ["fidelity", str(tmp_path), "--train", "--out", str(tmp_path / "fidelity.md")]
    assert CliRunner().invoke(app, words).exit_code == 0
    assert asked == [f"{STACK}/h200-emulated/auto/mild"]
    assert "17 of 17 equal" in (tmp_path / "fidelity.md").read_text()

    assert CliRunner().invoke(app, words).exit_code == 0
    assert len(asked) == 1, "the emulated record lies beside the real one now"
