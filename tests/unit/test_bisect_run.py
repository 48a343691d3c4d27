import io
import json
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from harness.bisect.bisection import Bisection, Question
from harness.bisect.run import bisect
from harness.bisect.search import Answer
from harness.cli.main import app
from harness.errors import IncompleteError, SameEndsError, SelectionError
from harness.plan import Options, Plan
from harness.record import Record
from harness.stacks import as_of_day
from harness.stacks.stacks_file import Override
from tests.unit.simulated_history import (
    Simulated,
    Versions,
    ended,
    frozen,
    number,
    simulate,
    sound,
)

CELL = "t4-emulated/auto/hot"
OLD = "CRASHED in load: RuntimeError: Gemma 3 only works on transformers >= 4.50.0."


def search(
    good: int = 1,
    bad: int = 100,
    check: str = "eval_loss_moves",
    said: list[str] | None = None,
    *,
    packages: bool = False,
    fresh: bool = False,
) -> Bisection:
    question = Question(
        good=f"2025.1.{good}",
        bad=f"2025.1.{bad}",
        family="unsloth",
        cell=CELL,
        checks=check.split(),
    )
    console = Console(file=io.StringIO())
    say = (said if said is not None else []).append
    return bisect(Plan(Options(fresh=fresh)), question, console, say, packages=packages)


@pytest.fixture
def froze_in_63(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Simulated:
    return simulate(monkeypatch, tmp_path, lambda v, _: frozen() if number(v) >= 63 else sound())


def test_the_first_bad_release_is_found(froze_in_63: Simulated) -> None:
    found = search()
    assert (found.before, found.after, found.exit_code) == ("2025.1.62", "2025.1.63", 0)
    assert found.sentence == "2025.1.63 is the first bad release; 2025.1.62 before it is good"
    assert found.cells == len(froze_in_63.ran) <= 2 + 7
    assert [probe.what for probe in found.probes[:2]] == ["2025.1.1", "2025.1.100"]


def test_a_repair_is_found_where_the_good_end_is_newer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    simulate(monkeypatch, tmp_path, lambda v, _: sound() if number(v) >= 7 else frozen())
    found = search(good=100, bad=1)
    assert found.sentence == "2025.1.7 is the first good release; 2025.1.6 before it is bad"


def test_a_second_call_runs_nothing(froze_in_63: Simulated) -> None:
    first, ran = search(), len(froze_in_63.ran)
    again = search()
    assert len(froze_in_63.ran) == ran
    assert (again.after, again.cells) == (first.after, 0)
    assert all(probe.reused == 1 for probe in again.probes)


def test_fresh_measures_again_and_each_once(froze_in_63: Simulated) -> None:
    first = search(check="cell")
    froze_in_63.ran.clear()
    assert search(check="cell", fresh=True).cells == first.cells == len(froze_in_63.ran)


def test_an_interrupted_search_goes_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    stopped: list[int] = []

    def outcome(versions: Versions, _: int) -> Record:
        if number(versions) == 75 and not stopped:
            stopped.append(1)
            raise KeyboardInterrupt
        return frozen() if number(versions) >= 63 else sound()

    simulated = simulate(monkeypatch, tmp_path, outcome)
    with pytest.raises(KeyboardInterrupt):
        search()
    before = len(simulated.ran)
    assert search().after == "2025.1.63"
    # The one that was running, and what had not been asked.
    assert len({v["unsloth"] for v, _ in simulated.ran}) == len(simulated.ran) - 1
    assert before > 2


def test_a_crash_is_kept_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = ended("CRASHED", "import", "ImportError", "no name of that kind")
    simulated = simulate(
        monkeypatch,
        tmp_path,
        lambda v, _: broken if 40 <= number(v) < 60 else frozen() if number(v) >= 63 else sound(),
    )
    found = search()
    assert found.after == "2025.1.63"
    assert "no name of that kind" in found.without_answer[0].reason
    ran = len(simulated.ran)
    assert search().after == "2025.1.63"
    assert len(simulated.ran) == ran


def test_broken_releases_at_the_place_leave_a_range(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = ended("CRASHED", "load", "NameError", "name 'forward' is not defined")
    simulate(
        monkeypatch,
        tmp_path,
        lambda v, _: broken if number(v) in (61, 62) else frozen() if number(v) >= 63 else sound(),
    )
    found = search()
    assert found.sentence.startswith("one of 2025.1.61, 2025.1.62, 2025.1.63 is the first bad")
    assert found.exit_code == IncompleteError.exit_code


@pytest.mark.parametrize(
    ("good", "bad", "said"), [(1, 2, "Give two releases that differ"), (90, 1, "Swap --good")]
)
def test_ends_that_do_not_differ_are_refused(
    froze_in_63: Simulated, good: int, bad: int, said: str
) -> None:
    with pytest.raises(SameEndsError, match=said):
        search(good, bad)
    assert len(froze_in_63.ran) == 2


def test_an_end_without_an_answer_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    broken = ended("CRASHED", "train", "ValueError", "no such thing")
    simulate(monkeypatch, tmp_path, lambda v, _: broken if number(v) == 100 else sound())
    with pytest.raises(IncompleteError, match=r"end 2025.1.100 gives no answer.*no such thing"):
        search()


def test_without_a_check_what_the_bad_end_fails_is_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    simulate(
        monkeypatch,
        tmp_path,
        lambda v, _: (
            frozen()
            if number(v) >= 63
            else ended("CRASHED", "train", "ValueError", "another thing")
            if number(v) == 50
            else sound()
        ),
    )
    found = search(check="cell")
    assert found.after == "2025.1.63"
    assert "cell" not in found.question.checks
    assert {"eval_loss_moves", "training_applied"} <= set(found.question.checks)
    assert next(p.answer for p in found.probes if p.what == "2025.1.50") is Answer.SKIP


def test_a_crash_is_bad_where_the_bad_end_crashes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    crash = ended("CRASHED", "train", "ValueError", "token_type_ids")
    simulate(monkeypatch, tmp_path, lambda v, _: crash if number(v) >= 63 else sound())
    found = search(check="cell")
    assert (found.after, found.question.checks) == ("2025.1.63", ["completed"])


@pytest.mark.parametrize("check", ["cell", "completed"])
def test_an_import_that_fails_is_bad_where_the_bad_end_does_not_import(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, check: str
) -> None:
    crash = ended("CRASHED", "import", "ImportError", "no such name")
    simulate(monkeypatch, tmp_path, lambda v, _: crash if number(v) >= 63 else sound())
    assert search(check=check).after == "2025.1.63"


def test_two_sound_ends_have_nothing_to_search(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    simulate(monkeypatch, tmp_path, lambda v, _: sound())
    with pytest.raises(SameEndsError, match="Nothing is red at the bad end"):
        search(check="cell")


def test_an_interrupted_machine_is_asked_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    late = ended("TIMEOUT", "train", "time limit", "still running after 900 s")

    def outcome(versions: Versions, repeat: int) -> Record:
        if number(versions) == 50 and repeat < 2:
            return late
        return frozen() if number(versions) >= 63 else sound()

    simulated = simulate(monkeypatch, tmp_path, outcome)
    assert search().after == "2025.1.63"
    assert [repeat for v, repeat in simulated.ran if number(v) == 50] == [0, 1, 2]


def test_the_good_ends_losses_can_be_the_question(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    worse = [6.74, 5.1, 4.9, 4.8]
    simulate(
        monkeypatch,
        tmp_path,
        lambda v, _: sound(evaluations=worse) if number(v) >= 63 else sound(),
    )
    found = search(check="eval_loss")
    assert found.after == "2025.1.63"
    reason = next(probe.reason for probe in found.probes if probe.what == "2025.1.63")
    assert "rose from 4.2700 to 4.8000" in reason


def test_an_unknown_check_is_told_before_anything_runs(froze_in_63: Simulated) -> None:
    with pytest.raises(SelectionError, match="no check 'loss'; there are cell, eval_loss"):
        search(check="loss")
    assert not froze_in_63.ran


def test_a_release_from_before_gemma_3_is_tried_with_what_its_neighbour_needed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    old = ended("CRASHED", "load", "RuntimeError", "Gemma 3 only works on transformers >= 4.50.0.")

    def outcome(versions: Versions, _: int) -> Record:
        if number(versions) == 50 and "transformers" not in versions:
            return old
        return frozen() if number(versions) >= 63 else sound()

    simulated = simulate(monkeypatch, tmp_path, outcome)
    lent = Override(requirement="transformers==4.50.0", reason="it is the first with Gemma-3")
    monkeypatch.setattr(
        as_of_day,
        "lent_overrides",
        lambda version, uploaded, message: ("2025.1.51", (lent,)) if message in OLD else None,
    )
    said: list[str] = []
    found = search(said=said)
    (probe,) = (probe for probe in found.probes if probe.what == "2025.1.50")
    assert (probe.answer, probe.ran) == (Answer.GOOD, 2)
    assert probe.departures[0].startswith("resolved with transformers==4.50.0 as 2025.1.51 is: ")
    assert found.after == "2025.1.63"
    assert any("2025.1.50 did not train as of its day" in line for line in said)
    assert simulated.resolved.count("2025.1.50") >= 2


def test_the_environments_of_both_next_releases_are_prefetched(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    simulated = simulate(
        monkeypatch, tmp_path, lambda v, _: frozen() if number(v) >= 63 else sound()
    )
    search()
    # After the middle, 50, one of these two comes, and the other was prepared for nothing.
    assert {"2025.1.25", "2025.1.75"} <= set(simulated.resolved)


def trl_did_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Simulated:
    return simulate(
        monkeypatch,
        tmp_path,
        lambda v, _: frozen() if v["trl"] == "0.10.0" else sound(),
        packages=lambda at: {
            "unsloth-zoo": f"1.{at}",
            "peft": "0.2.0" if at >= 62 else "0.1.0",
            "trl": "0.10.0" if at >= 62 else "0.9.0",
            "triton": f"3.{at}",
        },
    )


def test_the_package_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    trl_did_it(monkeypatch, tmp_path)
    found = search(packages=True)
    assert found.packages is not None
    assert found.packages.sentence == "trl 0.9.0 -> 0.10.0, alone sufficient and necessary"
    assert found.packages.is_answered
    by_name = {probe.what: probe.answer for probe in found.packages.probes}
    assert by_name["trl alone"] is Answer.BAD
    assert by_name["all but trl"] is Answer.GOOD
    assert by_name["unsloth alone"] is Answer.GOOD


def test_a_package_that_departures_level_is_not_the_cause(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    simulate(
        monkeypatch,
        tmp_path,
        lambda v, _: frozen() if v["trl"] == "0.10.0" else sound(),
        packages=lambda at: {
            "torch": "2.7.0" if at >= 62 else "2.6.0",
            "trl": "0.10.0" if at >= 62 else "0.9.0",
        },
    )
    packages = search(packages=True).packages
    assert packages is not None
    (levelled,) = packages.levelled
    assert levelled.startswith("torch 2.6.0 -> 2.7.0")
    assert "not the cause here" in levelled
    assert "torch" not in packages.moves


def test_the_command_writes_what_it_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    trl_did_it(monkeypatch, tmp_path)
    command = ["bisect", "--good", "2025.1.1", "--bad", "2025.1.100", f"unsloth/{CELL}"]
    result = CliRunner().invoke(app, [*command, "--check", "eval_loss_moves"])
    assert result.exit_code == 0, result.output
    assert "2025.1.63 is the first bad release" in result.output
    assert "trl 0.9.0 -> 0.10.0, alone sufficient and necessary" in result.output
    (folder,) = (tmp_path / "reports" / "runs").iterdir()
    written = json.loads((folder / "bisect.json").read_text())
    assert Bisection.model_validate(written).after == "2025.1.63"
    page = (folder / "bisect.md").read_text()
    assert "| 2025.1.63 | 2025-03-04 |" in page
    assert "| trl alone |" in page
