"""The command around the answer: sources, files, exit codes, and what GitHub is told. Nothing trains."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from harness import reports
from harness.cli import main as cli
from harness.dependency_update import comment, running
from harness.dependency_update.update import Update
from harness.gate import CellResult
from harness.plan import Plan
from harness.stacks.stack import load_stack
from harness.verdict import Outcome
from tests.unit.dependency_updates import both, update
from tests.unit.gate_results import gate

PASS, FAIL, INFRA = Outcome.PASS, Outcome.FAIL, Outcome.INFRA

Invoke = Callable[..., Result]


@pytest.fixture
def saved(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An update that moves one package, as `--save` writes it."""
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HARNESS_REPORTS", str(tmp_path / "reports"))
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)
    load_stack.cache_clear()
    path = tmp_path / "update.json"
    path.write_text(update().model_dump_json())
    return path


@pytest.fixture
def upgrade(monkeypatch: pytest.MonkeyPatch, saved: Path) -> Invoke:
    """Run the command over cells with given outcomes on the two sides."""

    def invoke(old: Outcome, new: Outcome, *options: str) -> Result:
        def run_gate(plan: Plan, cells: list[object], console: Console) -> tuple[object, Path]:
            assert tuple(plan.matrix.releases) == update().releases
            assert cells
            result = gate(*both(update(), old, new))
            folder = saved.parent / "run"
            reports.write(result, folder)
            return result, folder

        monkeypatch.setattr(running, "run_gate", run_gate)
        cells = ["--cells", "t4-emulated/auto/mild"]
        return CliRunner().invoke(
            cli.app, ["upgrade", "--update", str(saved), *cells, *options], catch_exceptions=False
        )

    return invoke


@pytest.mark.parametrize(
    ("old", "new", "options", "code"),
    [
        (PASS, PASS, [], 0),
        (FAIL, FAIL, [], 0),
        (PASS, FAIL, [], 1),
        (PASS, FAIL, ["--allow-no-answer"], 1),
        (PASS, INFRA, [], 19),
        (PASS, INFRA, ["--allow-no-answer"], 0),
    ],
)
def test_the_exit_code_is_the_answers(
    upgrade: Invoke, old: Outcome, new: Outcome, options: list[str], code: int
) -> None:
    assert upgrade(old, new, *options).exit_code == code


def test_a_tolerated_no_answer_is_never_said_to_be_green(upgrade: Invoke, saved: Path) -> None:
    done = upgrade(PASS, INFRA, "--allow-no-answer")
    summary = (saved.parent / "run" / reports.SUMMARY_NAME).read_text()
    assert "? NO ANSWER: no answer, neither safe nor unsafe" in done.output
    assert "## ? NO ANSWER" in summary
    assert "SAFE:" not in summary


def test_still_red_is_said_though_it_does_not_block(upgrade: Invoke) -> None:
    assert "= STILL RED: red before and after" in upgrade(FAIL, FAIL).output


def test_github_gets_annotations_and_a_summary(
    upgrade: Invoke, saved: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = saved.parent / "step.md"
    summary.write_text("before\n")
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))

    lines = upgrade(PASS, FAIL).output.splitlines()

    assert [line for line in lines if line.startswith("::error file=requirements.txt,line=14,")]
    assert summary.read_text().startswith(f"before\n{comment.MARKER}\n## ✗ NOT SAFE")


def test_outside_github_no_workflow_command_is_printed(upgrade: Invoke) -> None:
    assert "::error" not in upgrade(PASS, FAIL).output


def test_a_run_can_be_answered_again_from_its_folder(upgrade: Invoke, saved: Path) -> None:
    upgrade(PASS, FAIL)
    folder = saved.parent / "run"
    assert Update.model_validate_json((folder / running.UPDATE_NAME).read_bytes()) == update()
    copy = saved.parent / "comment.md"
    options = ["--cells", "t4-emulated/auto/mild", "--merge", str(folder), "--comment", str(copy)]
    done = CliRunner().invoke(cli.app, ["upgrade", "--update", str(saved), *options])
    assert done.exit_code == 1
    (merged,) = (saved.parent / "reports" / "runs").glob("merged-*")
    assert (merged / reports.PAGE_NAME).is_file()
    assert copy.read_text() == (merged / reports.SUMMARY_NAME).read_text()


def test_runners_that_left_nothing_are_no_answer(saved: Path) -> None:
    options = ["--merge", str(saved.parent / "none"), "--cells", "t4-emulated/auto/mild"]
    done = CliRunner().invoke(cli.app, ["upgrade", "--update", str(saved), *options])
    assert done.exit_code == 19
    assert "2 cells not run" in done.output


def test_a_save_runs_nothing_and_a_ci_takes_its_jobs_from_it(saved: Path) -> None:
    again = saved.parent / "again.json"
    done = CliRunner().invoke(cli.app, ["upgrade", "--update", str(saved), "--save", str(again)])
    assert done.exit_code == 0
    assert "requirements.txt: 1 package of the fine-tuning stack moved\n" in done.output
    assert json.loads(again.read_text()) == json.loads(saved.read_text())
    listed = CliRunner().invoke(cli.app, ["cells", "--json", "--update", str(again)])
    (entry,) = json.loads(listed.output)["include"]
    assert "cpu/float32/mild" in entry["cells"].split(",")


def test_nothing_moved_ends_at_once_with_0(saved: Path) -> None:
    saved.write_text(Update(file="uv.lock").model_dump_json())
    for options in ([], ["--merge", "none"]):
        done = CliRunner().invoke(cli.app, ["upgrade", "--update", str(saved), *options])
        assert done.exit_code == 0
        assert "no package of the fine-tuning stack moved in uv.lock" in done.output
    listed = CliRunner().invoke(cli.app, ["cells", "--json", "--update", str(saved)])
    assert json.loads(listed.output) == {"include": []}


@pytest.mark.parametrize(
    "arguments", [[], ["a.txt"], ["a.txt", "b.txt", "--base", "main"], ["a", "b", "c"]]
)
def test_one_source_must_be_given(arguments: list[str]) -> None:
    assert CliRunner().invoke(cli.app, ["upgrade", *arguments]).exit_code == 2


def test_cells_of_the_update_are_of_both_stacks(upgrade: Invoke, saved: Path) -> None:
    chosen = ["--update", str(saved), "--cells", "t4-emulated/auto/mild"]
    done = CliRunner().invoke(cli.app, ["cells", *chosen])
    expected: list[CellResult] = both(update(), PASS, PASS)
    assert done.output.split() == [cell.record.cell_id for cell in expected]
