import subprocess
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner

from harness.baselines import update as baseline_update
from harness.baselines.baseline import from_records
from harness.baselines.files import find, write
from harness.baselines.update import approve, approved, differences, examine, update
from harness.cli import baseline as cli_baseline
from harness.cli.main import app
from harness.commit import clean_commit, commit_of
from harness.dispatch.dispatcher import Result
from harness.errors import EXIT_CODES, BaselineError
from harness.matrix import load_matrix
from harness.record import Conditions, Record, write_record
from tests.unit.records import NAN, evaluations, make_record, steps

CELL = "reference-2026.10.9/cpu/float32/mild"


def repeats(count: int = 3, **changes: Any) -> list[Record]:
    stack = {"name": "reference-2026.10.9", "family": "reference"}
    return [make_record(repeat=n, cell_id=CELL, stack=stack, **changes) for n in range(count)]


@pytest.mark.parametrize(
    ("records", "reason"),
    [
        (repeats(2), "different repeats, got 2"),
        (repeats(fault="slower_steps"), "fault 'slower_steps'"),
        (repeats(evaluations=[6.7, NAN, 4.3, 4.2]), "not finite"),
        (repeats(evaluations=[6.7, 6.7, 6.7, 6.7]), "eval_loss_moves answers FAIL"),
        (repeats(conditions=[Conditions(phase="train", cpu_others=0.5)]), "was disturbed: shared"),
        (
            [*repeats(2), *(r for r in repeats(3, steps={"grad_norm": 0.3}) if r.repeat == 2)],
            "determinism answers FAIL",
        ),
    ],
)
def test_unfit_runs_are_refused(records: list[Record], reason: str) -> None:
    with pytest.raises(BaselineError, match=reason):
        examine(records)


def test_sound_runs_are_fit_and_say_what_they_could_not_answer() -> None:
    baseline, unanswered = examine(repeats())

    assert baseline.cell_id == CELL
    assert not any(name.startswith(("throughput", "memory", "start_up")) for name in unanswered)


def test_the_difference_from_the_former_is_signed_and_relative() -> None:
    def at(wall_s: float, **changes: Any) -> list[Record]:
        return repeats(
            steps=steps(wall_s=wall_s),
            evaluations=evaluations(6.74, 4.73, 4.38, 4.27, wall_s=wall_s),
            **changes,
        )

    former, slower = from_records(at(0.1)), from_records(at(0.125))
    final = approved(slower, "  a slower loss\n", "c0ffee", former)
    assert final.approval is not None
    assert final.approval.differences["steps_per_s"] == -0.2
    assert final.approval.differences["eval_s"] == 0.25
    assert final.approval.differences["peak_rss.train"] == 0.0
    assert (final.approval.reason, final.approval.commit) == ("a slower loss", "c0ffee")

    elsewhere = from_records(at(0.1, hardware={"threads": 2}))
    assert differences(slower, elsewhere) == {}
    other = approved(slower, "why", "c0ffee", elsewhere).approval
    assert other is not None
    assert other.incomparable == ("threads",)


def git(tree: Path, *words: str) -> None:
    subprocess.run(
        ["git", "-C", tree, "-c", "user.name=a", "-c", "user.email=a@b", *words],
        check=True,
        capture_output=True,
    )


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "checkout"
    (root / "fixtures" / "baselines").mkdir(parents=True)
    (root / "code.py").write_text("1\n")
    git(root, "init", "-q")
    git(root, "add", ".")
    git(root, "commit", "-qm", "feat: code")
    return root


def test_a_clean_tree_gives_its_commit(tree: Path) -> None:
    commit = clean_commit(tree)
    (tree / "fixtures" / "baselines" / "new.json").write_text("{}")

    assert len(commit) == 40
    assert clean_commit(tree) == commit


@pytest.mark.parametrize("name", ["code.py", "untracked.py"])
def test_a_tree_with_changes_is_refused_by_name(tree: Path, name: str) -> None:
    (tree / name).write_text("2\n")

    with pytest.raises(BaselineError, match=name.removesuffix(".py")):
        clean_commit(tree)


def test_no_work_tree_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BaselineError, match="no git work tree"):
        clean_commit(tmp_path / "nowhere")


class Plan:
    """Hands out records in place of running cells."""

    def __init__(self, records: list[Record]) -> None:
        self.matrix, self._records = load_matrix(), records

    def once(self, cell: Any) -> Any:
        return type("Run", (), {"experiment": cell})()

    def execute(self, runs: list[Any], console: Console, folder: str) -> list[Result]:
        assert folder == "baselines"
        assert [run.repeat for run in runs] == list(range(len(runs)))
        return [Result(r, self._records[r.repeat], reused=False) for r in runs]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HARNESS_BASELINES", str(tmp_path / "kept"))
    monkeypatch.setattr(baseline_update, "clean_commit", lambda tree: "c0ffee")
    return tmp_path / "kept"


def run_update(records: list[Record], runs: int = 3, reason: str = "first") -> Any:
    plan: Any = Plan(records)
    return update(plan, [plan.matrix.cell(CELL)], runs, reason, Console(quiet=True))


def test_update_writes_a_baseline_that_the_gate_finds(folder: Path) -> None:
    (first,) = run_update(repeats())
    (second,) = run_update(repeats(), reason="again")

    assert first.former is None
    assert second.former == first.baseline
    assert second.baseline.approval.former.startswith("2026.10.9 at c0ffee")
    assert find(repeats()[0], folder) == second.baseline


@pytest.mark.parametrize(("runs", "reason", "says"), [(2, "why", "--runs 2"), (3, " ", "--reason")])
def test_update_refuses_before_it_runs(folder: Path, runs: int, reason: str, says: str) -> None:
    with pytest.raises(BaselineError, match=says):
        run_update([], runs, reason)
    assert not folder.exists()


def test_two_releases_of_one_experiment_are_refused(folder: Path) -> None:
    plan: Any = Plan([])
    ids = [f"unsloth-{release}/cpu/float32/mild" for release in ("2026.10.8", "2026.10.9")]

    with pytest.raises(BaselineError, match=r"share one baseline, unsloth/cpu/float32/mild"):
        update(plan, [plan.matrix.cell(i) for i in ids], 3, "why", Console(quiet=True))
    assert not folder.exists()


def test_one_unfit_cell_writes_nothing(folder: Path) -> None:
    with pytest.raises(BaselineError):
        run_update([*repeats(2), make_record(repeat=2, cell_id=CELL, status="OOM")])
    assert not folder.exists()


def test_commands_show_what_was_approved(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(approved(from_records(repeats()), "measured <b>first</b>", "c0ffee", None), folder)
    monkeypatch.setattr(cli_baseline, "console", Console(width=200))

    listed = CliRunner().invoke(app, ["baseline", "list"])
    shown = CliRunner().invoke(app, ["baseline", "show", CELL])
    assert "reference/cpu/float32/mild" in listed.output
    assert "example-cpu-2-cores" in listed.output
    assert "because: measured <b>first</b>" in shown.output
    assert "peak_rss.train" in shown.output
    assert "900.0 MiB" in shown.output


def test_the_exit_code_is_documented() -> None:
    assert "must not become a baseline" in EXIT_CODES[20]


# --- from records that another machine brought back


@pytest.fixture
def brought_back(tmp_path: Path, folder: Path) -> Path:
    """What a window on a clean checkout gives."""
    back = tmp_path / "back"
    for record in repeats():
        write_record(record, back / "baselines" / f"{record.repeat}.json")
    (back / "window.json").write_text('{"commit": "c0ffee"}')
    return back


def approve_command(back: Path, *words: str) -> Any:
    return CliRunner().invoke(app, ["baseline", "approve", str(back), *words])


def test_repeats_from_another_machine_become_its_baseline(brought_back: Path, folder: Path) -> None:
    done = approve_command(brought_back, "--reason", "first of the card")
    assert done.exit_code == 0, done.output
    found = find(repeats()[0], folder)
    assert found is not None
    assert found.approval is not None
    assert (found.approval.commit, found.approval.reason) == ("c0ffee", "first of the card")


def test_records_beside_the_repeats_are_no_repeats(brought_back: Path, folder: Path) -> None:
    write_record(repeats(4)[3], brought_back / "records" / "3.json")
    assert approve_command(brought_back, "--reason", "why").exit_code == 0
    found = find(repeats()[0], folder)
    assert found is not None
    assert len(found.runs) == 3


def test_records_of_an_unknown_commit_are_refused(brought_back: Path, folder: Path) -> None:
    (brought_back / "window.json").write_text('{"commit": ""}')
    refused = approve_command(brought_back, "--reason", "why")
    assert isinstance(refused.exception, BaselineError)
    assert "clean checkout" in str(refused.exception)
    assert not folder.exists()


def test_a_cell_that_was_not_repeated_is_named(brought_back: Path) -> None:
    with pytest.raises(BaselineError, match=f"no repeats of other; there are some of {CELL}"):
        approve(repeats(), "c0ffee", "why", ["other"])


def test_unfit_repeats_from_another_machine_write_nothing(brought_back: Path, folder: Path) -> None:
    disturbed = repeats(conditions=[Conditions(phase="train", cpu_others=0.5)])
    with pytest.raises(BaselineError, match="disturbed"):
        approve(disturbed, "c0ffee", "why")
    with pytest.raises(BaselineError, match="needs a reason"):
        approve(repeats(), "c0ffee", " ")
    assert not folder.exists()


def test_the_commit_of_a_tree_with_changes_is_none(tree: Path, tmp_path: Path) -> None:
    assert commit_of(tree) == clean_commit(tree)
    (tree / "code.py").write_text("2\n")
    assert commit_of(tree) == ""
    assert commit_of(tmp_path / "nowhere") == ""
