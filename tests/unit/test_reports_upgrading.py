import pytest

from harness.releases import histories
from harness.reports.answer import paragraph, reason, sentence
from harness.reports.upgrading import lead, since
from harness.reports.upgrading import reason as step_reason
from harness.upgrades import steps
from harness.verdict import Outcome
from tests.unit.gate_results import (
    MIXED_UP,
    RIGHT,
    cell,
    frozen,
    gate,
    hostile,
    many_releases,
    mixed,
    moved_losses,
    on_release,
)

RELEASES = ("2025.3.14", "2025.6.8", "2026.10.9")
P, F, T = Outcome.PASS, Outcome.FAIL, Outcome.TIMEOUT


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ((F, P, P), "red in 2025.3.14, passes since 2025.6.8"),
        ((P, P, F), "passes in 2025.3.14 and 2025.6.8, red since 2026.10.9"),
        ((F, P, F), "red in 2025.3.14, passes in 2025.6.8, red since 2026.10.9"),
        ((F, F, F), "red in every release from 2025.3.14 to 2026.10.9"),
        ((P, P, P), "passes in every release from 2025.3.14 to 2026.10.9"),
        ((F, T, P), "red in 2025.3.14, no answer in 2025.6.8, passes since 2026.10.9"),
        ((F, None, P), "red in 2025.3.14, not run in 2025.6.8, passes since 2026.10.9"),
        ((P, F, T), "passes in 2025.3.14, red in 2025.6.8, no answer in 2026.10.9"),
        # Not run before: nobody knows whether it was red then, too.
        ((None, None, F), "not run in 2025.3.14 and 2025.6.8, red in 2026.10.9"),
    ],
)
def test_since_when(said: tuple[Outcome | None, ...], words: str) -> None:
    cells = [on_release(r, o) for r, o in zip(RELEASES, said, strict=True) if o]
    # Another family ran everywhere, so that each release is part of the run.
    cells += [on_release(release, recipe="mild") for release in RELEASES]

    assert since(histories(cells)[0]) == words


def test_two_releases_that_agree_are_both_named() -> None:
    (history,) = histories([on_release("2025.6.8", F), on_release("2026.10.9", F)])

    assert since(history) == "red in 2025.6.8 and 2026.10.9"


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ((P, P, P), "safe to upgrade from 2025.3.14 to 2026.10.9 on t4 (emulated)"),
        (
            (F, P, P),
            (
                "safe to upgrade from 2025.3.14 to 2026.10.9 on t4 (emulated) (fixed there: t4/auto/hot "
                "(emulated): red in 2025.3.14, passes since 2025.6.8)"
            ),
        ),
        (
            (F, P, F),
            (
                "not safe to upgrade from 2025.6.8 to 2026.10.9 on t4 (emulated) (t4/auto/hot "
                "(emulated): red in 2025.3.14, passes in 2025.6.8, red since 2026.10.9)"
            ),
        ),
        (
            (F, F, F),
            (
                "nothing won by an upgrade from 2025.3.14 to 2026.10.9 on t4 (emulated) (t4/auto/hot "
                "(emulated): red in every release from 2025.3.14 to 2026.10.9)"
            ),
        ),
        (
            (P, P, T),
            (
                "no answer on an upgrade to 2026.10.9 on t4 (emulated) (t4/auto/hot (emulated): passes "
                "in 2025.3.14 and 2025.6.8, no answer in 2026.10.9)"
            ),
        ),
    ],
)
def test_the_lead(said: tuple[Outcome, ...], words: str) -> None:
    assert lead([on_release(r, o) for r, o in zip(RELEASES, said, strict=True)]) == words


def test_the_lead_says_each_hardware_apart_the_worst_first() -> None:
    native = {"name": "cpu", "kind": "native"}
    cells = [on_release(r, hardware=native) for r in RELEASES]
    cells += [on_release("2025.6.8"), on_release("2026.10.9", F)]

    words = lead(cells)

    assert words
    assert words.startswith("not safe to upgrade from 2025.6.8 to 2026.10.9 on t4 (emulated)")
    assert words.endswith("; safe to upgrade from 2025.3.14 to 2026.10.9 on cpu")


def test_hardware_that_ran_on_one_release_only_comes_last_and_is_no_regression() -> None:
    native = {"name": "cpu", "kind": "native"}
    cells = [on_release("2026.10.9", hardware=native)]
    cells += [on_release("2025.6.8"), on_release("2026.10.9")]

    assert lead(cells) == (
        "safe to upgrade from 2025.6.8 to 2026.10.9 on t4 (emulated); "
        "nothing to compare 2026.10.9 with on cpu"
    )


def test_a_run_over_one_release_has_no_lead_and_its_old_wording() -> None:
    for result in (gate(cell(), frozen()), mixed(), gate()):
        assert lead(result.cells) is None
        assert paragraph(result) == reason(result)


def test_the_answer_begins_with_the_upgrade() -> None:
    result = gate(on_release("2025.3.14", F), on_release("2025.6.8"))

    assert sentence(result).startswith(
        "Not sound: safe to upgrade from 2025.3.14 to 2025.6.8 on t4 (emulated) (fixed there: "
    )
    assert "; unsloth-2025.3.14/t4/auto/hot (emulated) (1 of 2 cells) is red: " in sentence(result)
    assert paragraph(result).startswith("Safe to upgrade")


def test_a_sound_run_is_safe_to_take() -> None:
    result = gate(on_release("2025.6.8"), on_release("2026.10.9"))

    assert sentence(result) == (
        "Sound: safe to upgrade from 2025.6.8 to 2026.10.9 on t4 (emulated); 2 of 2 cells pass "
        "every check that could be measured; nothing to do."
    )


@pytest.mark.parametrize("result", [hostile(), many_releases(3, 40)], ids=["hostile", "many"])
def test_the_lead_is_one_line_of_bounded_length(result: object) -> None:
    words = lead(result.cells)  # type: ignore[attr-defined]

    assert words
    assert "\n" not in words
    assert len(words) < 800


def test_a_step_tells_what_it_does_to_its_cells_the_worst_first() -> None:
    cells = [
        on_release("2025.6.8"),
        on_release("2026.10.9", F),
        on_release("2025.6.8", recipe="gone"),
        on_release("2025.6.8", recipe="late"),
        on_release("2026.10.9", T, recipe="late"),
        *(on_release(r, recipe=f"mild-{n}") for r in RELEASES[1:] for n in range(3)),
        *(on_release(r, F, recipe=f"red-{n}") for r in RELEASES[1:] for n in range(5)),
    ]

    (step,) = steps(cells)

    assert step_reason(step) == (
        "1 cell regresses (t4/auto/hot (emulated)); "
        "2 cells cannot be compared (t4/auto/gone (emulated): not run on 2026.10.9, "
        "t4/auto/late (emulated): TIMEOUT on 2026.10.9); "
        "5 cells are red on both sides (t4/auto/red-0 (emulated), t4/auto/red-1 (emulated), "
        "t4/auto/red-2 (emulated), 2 more); "
        "3 cells pass on both sides"
    )


def test_the_answer_to_a_moved_loss_is_not_sound_and_says_by_how_much() -> None:
    result = gate(
        on_release("2025.8.6", evaluations=RIGHT), on_release("2026.1.4", evaluations=MIXED_UP)
    )

    assert sentence(result) == (
        "Not sound: not safe to upgrade from 2025.8.6 to 2026.1.4 on t4 (emulated) (t4/auto/hot "
        "(emulated): the last eval_loss rose from 4.9196 to 5.3631 (+9.0 %, more than 1 %) and "
        "eval_loss before any training moved from 7.1158 to 7.0960 (-0.28 %, more than 0.1 %): the "
        "evaluation itself changed, since 2026.1.4); 2 of 2 cells pass every check that could be measured, but the "
        "eval_loss of 1 cell moved from 2025.8.6 to 2026.1.4; to do: look at what moved there in "
        "the section on releases."
    )


def test_a_moved_loss_is_said_beside_a_cell_without_an_answer() -> None:
    lost = on_release("2026.1.4", T, recipe="late")

    words = reason(gate(*moved_losses().cells, on_release("2025.8.6", recipe="late"), lost))

    assert "; the eval_loss of 1 cell moved from 2025.8.6 to 2026.1.4; unsloth-2026.1.4/" in words
    assert words.endswith("run it again with harness run unsloth-2026.1.4/t4/auto/late.")


def test_a_moved_loss_is_said_beside_a_red_cell() -> None:
    broken = on_release("2026.1.4", F, recipe="red")

    words = reason(gate(*moved_losses().cells, on_release("2025.8.6", F, recipe="red"), broken))

    assert words.endswith("; besides, the eval_loss of 1 cell moved from 2025.8.6 to 2026.1.4.")


def test_a_step_says_which_loss_fell_and_what_is_new() -> None:
    (step,) = steps(moved_losses().cells[2:])

    assert step_reason(step) == (
        "1 cell passes on both sides (t4/auto/better (emulated): the last eval_loss fell from "
        "5.3631 to 4.9196 (-8.3 %, more than 1 %)); 1 cell only on 2026.1.4, not compared"
    )


def test_several_new_cells_are_counted() -> None:
    cells = [on_release("2025.8.6"), on_release("2026.1.4")]
    cells += [on_release("2026.1.4", recipe=f"new-{n}") for n in range(3)]

    (step,) = steps(cells)

    assert step_reason(step).endswith("; 3 cells only on 2026.1.4, not compared")
    assert lead(cells) == "safe to upgrade from 2025.8.6 to 2026.1.4 on t4 (emulated)"
