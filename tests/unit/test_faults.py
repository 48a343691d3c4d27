import io
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from harness.cell_result import CellResult
from harness.errors import ConfigError, SelectionError
from harness.faults.catalogue import Clean, Fault, read_catalogue
from harness.faults.trials import CleanTrial, Finding, Trial, Trials
from harness.matrix import load_matrix
from harness.reports.faults import markdown, render, summary
from harness.verdict import Outcome, Verdict
from tests.unit.records import make_record

SOUND = {"completed": Outcome.PASS, "training_applied": Outcome.PASS}
RED = {"completed": Outcome.PASS, "training_applied": Outcome.FAIL}


def judged(outcomes: dict[str, Outcome], cause: str = "") -> CellResult:
    verdicts = [
        Verdict(check=name, cell_id="c", outcome=o, message="m", diagnosis=(cause,))
        for name, o in outcomes.items()
    ]
    return CellResult(record=make_record(), verdicts=verdicts)


def trial(outcomes: dict[str, Outcome], cause: str = "", **entry: Any) -> Trial:
    fields = {"name": "f", "row": "U#1", "check": "training_applied", **entry}
    return Trial(Fault.model_validate(fields), judged(outcomes, cause))


def write(folder: Path, text: str, *plugins: str) -> Path:
    (folder / "catalogue.toml").write_text("schema = 1\n" + text, encoding="utf-8")
    for name in plugins:
        (folder / f"{name}.py").touch()
    return folder


def test_the_shipped_catalogue_is_valid_and_every_cell_of_it_exists() -> None:
    catalogue, matrix = read_catalogue(), load_matrix()

    assert len(catalogue.faults) >= 25
    for entry in (*catalogue.faults, *catalogue.clean):
        assert entry.cell_of(matrix).id.startswith(entry.cell)


def test_each_plugin_says_in_its_docstring_what_it_imitates() -> None:
    for fault in read_catalogue().faults:
        assert fault.file.read_text(encoding="utf-8").startswith('"""'), fault.name


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[faults.a]\nrow = 'U#1'\n", "names its `check`"),
        ("[faults.a]\nrow = 'U#1'\ncheck = 'nothing'\n", "no check or relation named nothing"),
        ("[faults.a]\nrow = 'U#1'\ncheck = 'precision'\nseen_by = ['memory']\n", "`would_see`"),
        ("[faults.b]\nrow = 'U#1'\ncheck = 'precision'\n", "without: a, b"),
        ("[faults.a]\nrow = 'U#1'\ncheck = 'precision'\nchek = ''\n", "chek"),
        ("[faults.a\n", "is not TOML"),
    ],
)
def test_an_unusable_catalogue_says_what_is_wrong(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        read_catalogue(write(tmp_path, text, "a"))


def test_an_unknown_name_is_refused(tmp_path: Path) -> None:
    text = "[faults.a]\nrow = 'U#1'\ncheck = 'precision'\n"
    catalogue = read_catalogue(write(tmp_path, text, "a"))

    assert [f.name for f in catalogue.select([])] == ["a"]
    with pytest.raises(SelectionError, match="the catalogue has a"):
        catalogue.select(["b"])


def test_recipe_fields_make_a_cell_of_another_name() -> None:
    entry = Clean(recipe={"seed": 1, "lora": {"r": 2}})
    cell = entry.cell_of(load_matrix())

    assert cell.id.endswith("/mild+lora.r=2+seed=1")
    assert (cell.recipe.seed, cell.recipe.lora.r) == (1, 2)


def test_more_clean_runs_than_entries_take_new_seeds() -> None:
    catalogue = read_catalogue()
    runs = catalogue.clean_runs(len(catalogue.clean) * 2)

    assert len({run.name for run in runs}) == len(runs)


@pytest.mark.parametrize(
    ("outcomes", "cause", "finding"),
    [
        (RED, "nobody owns it", Finding.DETECTED),
        (RED, "something else", Finding.UNEXPLAINED),
        ({**SOUND, "precision": Outcome.FAIL}, "", Finding.OTHER),
        (SOUND, "", Finding.MISSED),
        ({"completed": Outcome.TIMEOUT}, "", Finding.NO_ANSWER),
    ],
)
def test_only_the_check_meant_for_it_detects_a_fault(
    outcomes: dict[str, Outcome], cause: str, finding: Finding
) -> None:
    it = trial(outcomes, cause, diagnosis="nobody owns")

    assert it.finding is finding
    assert (it.problem is None) == (finding is Finding.DETECTED)


@pytest.mark.parametrize(
    ("outcomes", "problem"),
    [
        (SOUND, "seen by nothing, the catalogue declares precision"),
        (RED, "training_applied sees it now"),
        ({**SOUND, "precision": Outcome.FAIL}, None),
    ],
)
def test_a_declared_gap_must_stay_as_declared(
    outcomes: dict[str, Outcome], problem: str | None
) -> None:
    it = trial(outcomes, would_see="an oracle", seen_by=["precision"])

    assert (it.problem or "").startswith(problem or "")
    assert (it.problem is None) == (problem is None)


def test_a_timeout_can_be_what_is_expected() -> None:
    entry = {"check": "completed", "outcome": "TIMEOUT"}
    assert trial({"completed": Outcome.TIMEOUT}, **entry).problem is None


@pytest.mark.parametrize(
    ("outcomes", "alarms", "code"),
    [(SOUND, 0, 0), (RED, 1, 1), ({"completed": Outcome.INFRA}, 0, 1)],
)
def test_a_clean_run_that_is_not_green_fails(
    outcomes: dict[str, Outcome], alarms: int, code: int
) -> None:
    trials = Trials([], [CleanTrial(Clean(), judged(outcomes))])

    assert list(summary(trials)) == [f"{alarms} false alarms in 1 clean runs"]
    assert trials.exit_code == code


def test_a_missed_fault_is_shown_and_counted() -> None:
    trials = Trials([trial(RED), trial(SOUND, would_see="the oracle to build")])
    text = markdown(trials, "harness faults")
    console = Console(width=160, record=True, file=io.StringIO())
    console.print(render(trials))

    assert trials.exit_code == 0
    assert "1 of 2 faults (50%) are detected" in text
    assert "MISSED (declared)" in text
    assert "the oracle to build" in text
    assert "MISSED (declared)" in console.export_text()
    assert Trials([trial(SOUND)]).exit_code == 1


def test_a_fault_may_be_meant_for_a_relation() -> None:
    entry = Fault.model_validate({"name": "f", "row": "U#1", "check": "accumulation"})
    assert entry.relation is not None
    assert entry.relation.name == "accumulation"
    assert trial(SOUND).fault.relation is None
    seen = trial({**SOUND, "accumulation": Outcome.FAIL}, check="accumulation")
    assert (seen.finding, seen.red) == (Finding.DETECTED, ("accumulation",))
