import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness import reports
from harness.dependency_update import annotations, comment
from harness.dependency_update import update as updates
from harness.dependency_update.answer import Answer, answer
from harness.dependency_update.merge import merged
from harness.dependency_update.update import Moved, Update
from harness.errors import ConfigError, InputError
from harness.gate import CellResult, GateResult
from harness.lock_files import LockFile, git_files
from harness.stacks.stack import load_stack
from harness.upgrades import StepVerdict
from harness.verdict import Outcome
from tests.unit.dependency_updates import both, git, side, update
from tests.unit.fake_uv import replace_uv
from tests.unit.gate_results import MIXED_UP, RIGHT, gate, many

PASS, FAIL, INFRA, TIMEOUT = Outcome.PASS, Outcome.FAIL, Outcome.INFRA, Outcome.TIMEOUT


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    load_stack.cache_clear()


def judged(of: Update, cells: list[CellResult], *more: str) -> Answer:
    return answer(of, gate(*cells), [*(cell.record.cell_id for cell in cells), *more])


@pytest.mark.parametrize(
    ("old", "new", "verdict", "code"),
    [
        (PASS, PASS, StepVerdict.SAFE, 0),
        (FAIL, PASS, StepVerdict.FIXED, 0),
        (FAIL, FAIL, StepVerdict.STILL_RED, 0),
        (PASS, FAIL, StepVerdict.NOT_SAFE, 1),
        (PASS, INFRA, StepVerdict.NO_ANSWER, 19),
        (TIMEOUT, PASS, StepVerdict.NO_ANSWER, 19),
    ],
)
def test_the_exit_code_blocks_on_a_regression_alone(
    old: Outcome, new: Outcome, verdict: StepVerdict, code: int
) -> None:
    of = update()
    found = judged(of, both(of, old, new))
    assert (found.verdict, found.exit_code) == (verdict, code)


def test_the_order_is_that_of_the_files_though_the_version_of_unsloth_is_one() -> None:
    of = update()
    assert judged(of, both(of, PASS, FAIL)[::-1]).verdict is StepVerdict.NOT_SAFE
    assert judged(of, both(of, FAIL, PASS)[::-1]).verdict is StepVerdict.FIXED


def test_a_loss_that_moved_is_not_safe_and_is_told_with_its_figures() -> None:
    of = update()
    cells = [side(of, 0, evaluations=RIGHT), side(of, 1, evaluations=MIXED_UP)]
    found = judged(of, cells)
    assert found.exit_code == 1
    assert "eval_loss 7.1158 → 4.9196, now 7.0960 → 5.3631" in " ".join(found.reasons)


def test_a_red_check_is_told_with_its_message() -> None:
    of = update()
    said = " ".join(judged(of, both(of, PASS, FAIL)).reasons)
    assert "eval_loss_moves: eval_loss_moves says FAIL with 1.25" in said


def test_a_regression_blocks_whatever_else_has_no_answer() -> None:
    of = update()
    cells = [*both(of, PASS, FAIL), *both(of, PASS, INFRA, "hot")]
    assert judged(of, cells, "unsloth/t4/auto/hot").exit_code == 1


@pytest.mark.parametrize("cells", [0, 1, 2])
def test_a_cell_that_was_not_run_is_never_green(cells: int) -> None:
    of = update()
    found = judged(of, both(of, PASS, PASS)[:cells], "unsloth-x/t4/auto/mild")
    assert found.exit_code == 19
    assert found.missing == ("unsloth-x/t4/auto/mild",)
    assert "1 cell not run: unsloth-x/t4/auto/mild" in found.reasons


def test_nothing_at_all_ran() -> None:
    found = answer(update(), None, ["a/b/c/d"])
    assert (found.exit_code, found.missing) == (19, ("a/b/c/d",))


def test_a_red_cell_without_an_old_side_is_no_answer() -> None:
    of = update()
    found = judged(of, [*both(of, PASS, PASS), side(of, 1, FAIL, "new")])
    assert found.exit_code == 19
    assert "1 red cell with no old side" in found.reasons[0]


@pytest.mark.parametrize("name", ["torch", "nvidia-nccl-cu13", "xformers"])
def test_what_cells_without_a_gpu_do_not_install_is_not_judged_by_them(name: str) -> None:
    of = update(name)
    found = judged(of, both(of, PASS, PASS))
    assert (found.exit_code, [one.name for one in found.unseen]) == (19, [name])
    assert "none of the packages that moved is installed" in found.reasons[0]


def test_an_update_is_what_moved_of_the_stack_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    registry = replace_uv(monkeypatch, tmp_path)
    registry.sets["unsloth==2026.1.4"] = ["transformers==5.0.0", "zipp==1"]
    registry.sets["unsloth==2026.2.1"] = ["transformers==5.1.0", "json5==1"]
    old, new = tmp_path / "old.txt", tmp_path / "new.txt"
    old.write_text("ruff==1\nunsloth==2026.1.4\ntransformers==5.0.0\nzipp==1\n")
    new.write_text("ruff==2\njson5==1\ntransformers==5.1.0\nunsloth==2026.2.1\n")

    found = updates.of_files(old, new)

    assert updates.describe(found) == [
        f"unsloth 2026.1.4 -> 2026.2.1 ({new}:4)",
        f"transformers 5.0.0 -> 5.1.0 ({new}:3)",
        f"json5 1 added ({new}:2)",
        f"zipp 1 removed ({new})",
    ]
    saved = tmp_path / "update.json"
    saved.write_text(found.model_dump_json())
    assert updates.load(saved) == found
    new.write_text(old.read_text().replace("ruff==1", "ruff==2"))
    assert updates.of_files(old, new) == Update(file=str(new))


def test_a_branch_is_compared_with_where_it_left_its_base(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    registry = replace_uv(monkeypatch, tmp_path)
    registry.sets["unsloth==2026.1.4"] = ["transformers==5.0.0"]
    registry.sets["unsloth==2026.2.1"] = ["transformers==5.0.0"]
    registry.uploads["unsloth==2026.3.1"] = "2026-03-01T00:00:00Z"
    repository = tmp_path / "repository"
    (repository / "train").mkdir(parents=True)
    lock = repository / "train" / "requirements.txt"
    monkeypatch.chdir(lock.parent)
    git(repository, "init", "-b", "main")
    for branch, unsloth in (("main", "2026.1.4"), ("bot/update", "2026.2.1"), ("main", "2026.3.1")):
        if unsloth != "2026.1.4":
            git(repository, "checkout", *(["-b"] if branch != "main" else []), branch)
        lock.write_text(f"transformers==5.0.0\nunsloth=={unsloth}\n")
        git(repository, "add", ".")
        git(repository, "commit", "-m", unsloth)
    git(repository, "checkout", "bot/update")

    for file in (None, "train/requirements.txt"):
        found = updates.of_branch("main", file)
        assert updates.describe(found) == [
            "unsloth 2026.1.4 -> 2026.2.1 (train/requirements.txt:2)"
        ]


def test_a_branch_without_a_stack_that_moved_says_what_it_looked_at(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "requirements.txt").write_text("ruff==2\n")
    monkeypatch.setattr(git_files, "merge_base", lambda ref: "c0ffee")
    monkeypatch.setattr(git_files, "root", lambda: tmp_path)
    monkeypatch.setattr(git_files, "changed_lock_files", lambda commit: ["requirements.txt"])
    monkeypatch.setattr(git_files, "text_at", lambda commit, path: "ruff==1\n")

    found = updates.of_branch("main", None)

    assert (found.moved, found.file) == ((), "requirements.txt")
    assert "nothing to run" in comment.nothing_moved(found)
    monkeypatch.setattr(git_files, "changed_lock_files", lambda commit: [])
    assert comment.nothing_moved(updates.of_branch("main", None)) == (
        "no lock file changed: nothing to run"
    )
    both = ["requirements.txt", "requirements-gpu.txt"]
    monkeypatch.setattr(git_files, "changed_lock_files", lambda commit: both)
    for name in both:
        (tmp_path / name).write_text("unsloth==1\n")
    with pytest.raises(InputError, match=r"txt, requirements-gpu.txt. Choose with --file"):
        updates.of_branch("main", None)


def test_a_file_that_is_no_update_is_named(tmp_path: Path) -> None:
    path = tmp_path / "update.json"
    path.write_text("{}")
    with pytest.raises(ConfigError, match="--save"):
        updates.load(path)
    with pytest.raises(InputError, match="No such file"):
        updates.load(tmp_path / "none.json")


# --- the comment


def test_the_comment_answers_first_and_names_what_moved() -> None:
    of = update()
    lines = comment.render(of, judged(of, both(of, PASS, FAIL)), gate(*both(of, PASS, FAIL)))
    shown = lines.splitlines()
    assert shown[0] == comment.MARKER
    assert shown[1] == "## ✗ NOT SAFE: not safe to merge"
    new = of.moved[0].new
    assert f"- `trl 0.0.1 -> {new} (requirements.txt:14)`" in shown
    assert [line for line in shown if line.startswith("## ")] == [shown[1]]
    assert "### ✗ Not sound" in shown


@pytest.mark.parametrize("cells", [10, 100, 1_000])
def test_a_comment_fits_whatever_the_number_of_cells(cells: int) -> None:
    of = update()
    moved = tuple(of.moved[0].model_copy(update={"name": f"package-{n}"}) for n in range(300))
    large = of.model_copy(update={"moved": moved})
    result = many(cells)
    missing = [f"unsloth-2026.10.9/cpu/auto/recipe-{n}" for n in range(cells)]
    found = Answer(
        StepVerdict.NOT_SAFE, tuple("reason" * 400 for _ in range(5)), tuple(missing), moved
    )

    text = comment.render(large, found, result)

    assert len(text.encode()) <= comment.LIMIT
    assert text.startswith(f"{comment.MARKER}\n## ✗ NOT SAFE")
    assert "package-0" in text
    assert "and 260 more" in text
    assert text.count("<details>") == text.count("</details>") == 1
    # Red cells are kept before anything else.
    assert "✗ FAIL" in text


def test_an_update_that_moves_nothing_has_a_comment_too() -> None:
    text = comment.render(Update(file="uv.lock"), None, None)
    assert text.startswith(comment.MARKER)
    assert "no package of the fine-tuning stack moved in uv.lock" in text


# --- annotations


@pytest.mark.parametrize(("new", "level"), [(FAIL, "error"), (PASS, "notice"), (INFRA, "warning")])
def test_each_requirement_that_moved_is_annotated_on_its_line(new: Outcome, level: str) -> None:
    of = update()
    (line,) = annotations.commands(of, judged(of, both(of, PASS, new)))
    title = f"trl 0.0.1 -> {of.moved[0].new}"
    assert line.startswith(f"::{level} file=requirements.txt,line=14,title={title}::")


def test_a_package_that_no_cell_installs_is_not_called_safe() -> None:
    of = update()
    seen, unseen = of.moved[0], of.moved[0].model_copy(update={"name": "torch", "line": 9})
    large = of.model_copy(update={"moved": (unseen, seen)})
    found = judged(large, both(of, PASS, PASS))
    assert found.verdict is StepVerdict.SAFE
    first, second = annotations.commands(large, found)
    assert first.startswith("::warning file=requirements.txt,line=9,title=torch")
    assert second.startswith("::notice file=requirements.txt,line=14,title=trl")
    assert "no cell that ran installs it: torch" in comment.render(large, found, None)


def test_a_removed_package_has_no_line_and_no_more_than_ten_are_said() -> None:
    gone = Moved(name="a", old="1", new=None, line=None)
    of = Update(file="uv.lock", moved=(gone,) * 12)
    lines = list(annotations.commands(of, Answer(StepVerdict.SAFE, ())))
    assert lines[0].startswith("::notice file=uv.lock,title=a 1 removed::")
    assert len(lines) == 10
    assert "(and 2 more packages)" in lines[-1]


@given(st.text(), st.text())
def test_no_text_ends_a_command_or_starts_another(name: str, reason: str) -> None:
    moved = Moved(name=name, old=reason, new="2", line=3)
    of = Update(file=name, moved=(moved,))
    (line,) = annotations.commands(of, Answer(StepVerdict.NOT_SAFE, (reason,)))
    assert not re.search(r"[\r\n]", line)
    properties = line[2:].partition("::")[0]
    assert properties.count(",") == 2
    assert ":" not in properties


# --- several machines


def written(folder: Path, *cells: CellResult) -> Path:
    reports.write(gate(*cells), folder)
    return folder


def test_the_runs_of_several_runners_are_one(tmp_path: Path) -> None:
    of = update()
    written(tmp_path / "cpu" / "run", *both(of, PASS, PASS))
    written(tmp_path / "t4" / "run", *both(of, PASS, FAIL, "hot"))

    result = merged(of, [tmp_path], print)

    assert isinstance(result, GateResult)
    assert len(result.cells) == 4
    assert judged(of, result.cells).exit_code == 1


def test_a_runner_that_died_leaves_its_cells_not_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    of = update()
    written(tmp_path / "cpu", *both(of, PASS, PASS))
    (tmp_path / "t4").mkdir()
    (tmp_path / "t4" / reports.RESULT_NAME).write_text("{")
    lost = [cell.record.cell_id for cell in both(of, PASS, PASS, "hot")]

    result = merged(of, [tmp_path, tmp_path / "none"], print)

    assert result is not None
    found = judged(of, result.cells, *lost)
    assert (found.exit_code, found.missing) == (19, tuple(lost))
    said = capsys.readouterr().out
    assert "no run below" in said
    assert "left out" in said
    assert merged(of, [tmp_path / "none"], print) is None


def test_a_cell_that_a_second_runner_answered_is_answered(tmp_path: Path) -> None:
    of = update()
    written(tmp_path / "1", *both(of, PASS, INFRA))
    written(tmp_path / "2", *both(of, PASS, PASS))
    result = merged(of, [tmp_path], print)
    assert result is not None
    assert judged(of, result.cells).exit_code == 0


def test_runs_of_another_update_are_not_mixed_in(tmp_path: Path) -> None:
    of, other = update(), update("peft")
    written(tmp_path, *both(other, PASS, PASS))
    with pytest.raises(InputError, match="and the update compares"):
        merged(of, [tmp_path], print)


def test_a_file_without_pins_is_an_error() -> None:
    with pytest.raises(InputError, match="has no unsloth"):
        updates.between(LockFile("a", {}), LockFile("a", {}))
