from hypothesis import given
from hypothesis import strategies as st

from harness.reports.answer import State, caveats, findings, gaps, reason, sentence, state
from harness.verdict import Outcome
from tests.unit.gate_results import cell, emulated, ended, frozen, gate, mixed


def test_all_cells_passing_is_sound() -> None:
    result = gate(cell(), cell(cell_id="a/b/c/d"))

    assert (
        sentence(result)
        == "Sound: 2 of 2 cells pass every check that could be measured; nothing to do."
    )


def test_a_red_cell_is_named_with_why_and_what_to_do() -> None:
    result = gate(cell(), frozen("s/t4/float16/hot"))

    assert sentence(result) == (
        "Not sound: s/t4/float16/hot (emulated) (1 of 2 cells) is red: eval_loss_moves says FAIL "
        "with 1.25; to do: train in float32."
    )


def test_the_reason_is_that_of_the_cell_it_names() -> None:
    crashed = ended("CRASHED", "RuntimeError", cell_id="first/cpu/float32/mild")
    result = gate(crashed, frozen("second/t4/float16/hot"), frozen("third/t4/float16/hot"))

    assert reason(result).startswith("second/t4/float16/hot (emulated) and 2 other cells")
    assert "in the first, eval_loss_moves says FAIL" in reason(result)


def test_advice_falls_back_to_the_command_that_shows_it_again() -> None:
    result = gate(ended("OOM", "MemoryError", cell_id="s/h/d/r with space"))

    assert "to do: look at it with harness run 's/h/d/r with space'." in sentence(result)


def test_a_run_that_timed_out_is_no_answer_although_others_pass() -> None:
    result = gate(cell(), ended("TIMEOUT", "time limit", cell_id="a/b/c/d"))

    assert state(result) is State.NO_ANSWER
    assert reason(result) == (
        "a/b/c/d (1 of 2 cells) without an answer: TIMEOUT, time limit; 1 other cell passed; "
        "to do: run it again with harness run a/b/c/d."
    )


def test_a_cell_without_any_pass_is_no_answer() -> None:
    lonely = cell(outcome=Outcome.UNCALIBRATED)
    lonely.verdicts = [v for v in lonely.verdicts if v.outcome is Outcome.UNCALIBRATED]

    assert state(gate(cell(), lonely)) is State.NO_ANSWER


def test_no_cell_at_all_is_no_answer() -> None:
    assert state(gate()) is State.NO_ANSWER
    assert sentence(gate()).startswith("No complete answer: 0 cells were run")


@given(st.lists(st.sampled_from(Outcome), max_size=6))
def test_the_state_follows_the_worst_cell(outcomes: list[Outcome]) -> None:
    cells = []
    for outcome in outcomes:
        one = cell(outcome=outcome)
        one.verdicts = one.verdicts[1:2]
        cells.append(one)

    found = state(gate(*cells))

    assert (found is State.NOT_SOUND) == any(outcome.is_red for outcome in outcomes)
    assert (found is State.SOUND) == (bool(outcomes) and set(outcomes) == {Outcome.PASS})
    assert sentence(gate(*cells)).endswith(".")


def test_cells_that_fail_alike_are_one_finding_whatever_the_figures() -> None:
    first, second, other = frozen("a/b/c/d"), frozen("e/f/g/h"), ended("CRASHED", "ValueError")
    second.verdicts[1] = second.verdicts[1].model_copy(
        update={"diagnosis": ("the scaler skipped all 48 steps",)}
    )

    found = findings(gate(other, first, second))

    assert [[c.record.cell_id for c in f.cells] for f in found] == [
        ["a/b/c/d", "e/f/g/h"],
        [other.record.cell_id],
    ]


def test_a_different_reason_is_a_finding_of_its_own() -> None:
    first, second = frozen("a/b/c/d"), frozen("e/f/g/h")
    second.verdicts[1] = second.verdicts[1].model_copy(update={"diagnosis": ("lr was zero",)})

    assert len(findings(gate(first, second))) == 2


def test_gaps_are_grouped_by_reason_with_unanswered_runs_first() -> None:
    found = gaps(mixed())

    assert [(g.outcome, len(g.checks), len(g.cells)) for g in found] == [
        (Outcome.TIMEOUT, 1, 1),
        (Outcome.UNCALIBRATED, 1, 3),
        (Outcome.SKIPPED, 3, 1),
        (Outcome.SKIPPED, 3, 1),
    ]


def test_every_verdict_that_is_no_answer_is_in_one_gap() -> None:
    cells = mixed().cells
    expected = sum(
        v.outcome is not Outcome.PASS and not v.outcome.is_red for c in cells for v in c.verdicts
    )

    assert sum(len(g.checks) * len(g.cells) for g in gaps(mixed())) == expected


def test_many_checks_are_counted_not_listed() -> None:
    names = [f"check_{number}" for number in range(7)]
    one = cell()
    one.verdicts = [
        one.verdicts[0].model_copy(update={"check": n, "outcome": Outcome.SKIPPED, "message": "m"})
        for n in names
    ]

    assert gaps(gate(one))[0].subject == "check_0, check_1, check_2 and 4 other checks"


def test_caveats_tell_what_limits_the_answer() -> None:
    faulty = cell(fault="freeze-adapter", hardware=emulated())
    faulty.reused = True

    assert caveats(gate(faulty)) == [
        "1 check result without an answer: 1 UNCALIBRATED.",
        (
            "1 of 1 cell ran on emulated hardware: dtype decisions are the library’s own, "  # noqa: RUF001
            "speed and memory are not the card’s."  # noqa: RUF001
        ),
        "1 record reused from an earlier run.",
        "Faults injected on purpose: freeze-adapter.",
    ]


def test_a_complete_native_run_has_no_caveats() -> None:
    whole = cell()
    whole.verdicts = whole.verdicts[:3]

    assert caveats(gate(whole)) == []
