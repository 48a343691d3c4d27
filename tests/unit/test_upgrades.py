import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.gate import CellResult
from harness.newest import to_newest
from harness.upgrades import StepVerdict, judge, regressed, steps, worst
from harness.verdict import Outcome, Verdict
from tests.unit.gate_results import on_release, regression

S = StepVerdict
RELEASES = ("2025.3.14", "2025.6.8", "2026.10.9")
outcomes = st.sampled_from(Outcome)
# What the checks of one cell said: a few checks, so that two cells share some.
sides = st.none() | st.dictionaries(st.sampled_from("abc"), outcomes, max_size=3)
answered = st.dictionaries(st.sampled_from("abc"), outcomes, min_size=1)


def side(
    said: dict[str, Outcome] | None, release: str = "2026.10.9", recipe: str = "hot"
) -> CellResult | None:
    if said is None:
        return None
    one = on_release(release, recipe=recipe)
    one.verdicts = [
        Verdict(check=check, cell_id=one.record.cell_id, outcome=outcome, message="")
        for check, outcome in said.items()
    ]
    return one


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (Outcome.PASS, Outcome.PASS, S.SAFE),
        (Outcome.FAIL, Outcome.PASS, S.FIXED),
        (Outcome.CRASHED, Outcome.PASS, S.FIXED),
        (Outcome.PASS, Outcome.FAIL, S.NOT_SAFE),
        (Outcome.PASS, Outcome.OOM, S.NOT_SAFE),
        (Outcome.FAIL, Outcome.FAIL, S.STILL_RED),
        (Outcome.PASS, Outcome.TIMEOUT, S.NO_ANSWER),
        (Outcome.INFRA, Outcome.PASS, S.NO_ANSWER),
        (Outcome.INFRA, Outcome.FAIL, S.NO_ANSWER),
        (Outcome.FAIL, Outcome.SKIPPED, S.NO_ANSWER),
        (Outcome.UNCALIBRATED, Outcome.UNCALIBRATED, S.NO_ANSWER),
    ],
)
def test_the_rule(old: Outcome, new: Outcome, expected: StepVerdict) -> None:
    assert judge(side({"a": old}), side({"a": new})) is expected


def test_a_cell_that_got_lost_is_no_answer() -> None:
    passing = side({"a": Outcome.PASS})

    assert judge(passing, None) is S.NO_ANSWER
    assert judge(None, None) is S.NO_ANSWER


@pytest.mark.parametrize("outcome", Outcome)
def test_a_cell_that_only_the_new_release_has_is_not_compared(outcome: Outcome) -> None:
    assert judge(None, side({"a": outcome})) is S.NOT_COMPARED


def test_a_red_cell_that_breaks_in_another_way_is_a_regression() -> None:
    slow = side({"throughput": Outcome.FAIL, "eval_loss_moves": Outcome.PASS})
    frozen = side({"throughput": Outcome.FAIL, "eval_loss_moves": Outcome.FAIL})

    assert judge(slow, frozen) is S.NOT_SAFE
    assert judge(frozen, slow) is S.STILL_RED


def test_a_check_that_spoke_twice_has_passed_only_if_it_never_failed() -> None:
    both, red = side({"a": Outcome.PASS}), side({"a": Outcome.FAIL})
    assert both
    assert red
    both.verdicts += red.verdicts

    assert regressed(both, red) == []


@given(sides)
def test_property_identical_sides_are_never_a_regression_nor_a_fix(
    said: dict[str, Outcome] | None,
) -> None:
    assert judge(side(said), side(said)) in (S.SAFE, S.STILL_RED, S.NO_ANSWER)


@given(answered, answered)
def test_property_swapping_the_sides_turns_a_regression_of_a_passing_cell_into_a_fix(
    one: dict[str, Outcome], other: dict[str, Outcome]
) -> None:
    # Both sides have the same eval_loss: what the checks say alone is swapped.
    old, new = side(one), side(other)
    there, back = judge(old, new), judge(new, old)

    assert (there is S.NO_ANSWER) == (back is S.NO_ANSWER)
    assert (there is S.SAFE) == (back is S.SAFE)
    if there is S.FIXED:
        assert back is S.NOT_SAFE
    if there is S.NOT_SAFE and old and old.outcome is Outcome.PASS:
        assert back is S.FIXED


@given(sides, sides)
def test_property_green_needs_a_pass_on_the_new_side_and_an_answer_on_the_old(
    one: dict[str, Outcome] | None, other: dict[str, Outcome] | None
) -> None:
    old, new = side(one), side(other)

    green = judge(old, new) in (S.SAFE, S.FIXED)

    assert green == bool(
        old
        and new
        and new.outcome is Outcome.PASS
        and (old.outcome is Outcome.PASS or old.outcome.is_red)
    )


@given(sides, sides)
def test_property_a_newly_red_cell_is_never_green(
    one: dict[str, Outcome] | None, other: dict[str, Outcome] | None
) -> None:
    new = side(other)
    if new and new.outcome.is_red:
        assert judge(side(one), new) in (S.NOT_SAFE, S.STILL_RED, S.NO_ANSWER, S.NOT_COMPARED)


@given(st.lists(st.tuples(sides, sides), min_size=1, max_size=5))
def test_property_a_step_is_safe_only_if_every_cell_is(
    pairs: list[tuple[dict[str, Outcome] | None, dict[str, Outcome] | None]],
) -> None:
    cells = [
        cell
        for number, (old, new) in enumerate(pairs)
        for cell in (
            side(old, "2025.6.8", f"r{number}"),
            side(new, "2026.10.9", f"r{number}"),
        )
        if cell
    ]

    found = steps(cells)

    assert bool(found) == any(old is not None and new is not None for old, new in pairs)
    for step in found:
        expected = {
            judge(side(old), side(new)) for old, new in pairs if old is not None or new is not None
        }
        assert step.verdict is worst(expected)
        assert (step.verdict is S.SAFE) == (expected - {S.NOT_COMPARED} == {S.SAFE})
        assert step.verdict is not S.NOT_COMPARED
        if S.NO_ANSWER in expected:
            assert step.verdict in (S.NO_ANSWER, S.NOT_SAFE)


compared = st.sampled_from([verdict for verdict in StepVerdict if verdict is not S.NOT_COMPARED])


@given(st.lists(compared, min_size=1), st.sampled_from(StepVerdict))
def test_property_one_more_cell_never_makes_a_step_better(
    some: list[StepVerdict], more: StepVerdict
) -> None:
    order = list(StepVerdict)

    assert order.index(worst([*some, more])) <= order.index(worst(some))


def test_no_compared_cell_is_no_answer() -> None:
    assert worst([]) is S.NO_ANSWER
    assert worst([S.NOT_COMPARED]) is S.NO_ANSWER


def test_steps_join_neighbours_oldest_first() -> None:
    found = steps(regression().cells)

    assert [(s.old.label, s.new.label, s.verdict) for s in found] == [
        ("2025.3.14", "2025.6.8", S.FIXED),
        ("2025.6.8", "2026.10.9", S.NOT_SAFE),
    ]
    assert [[(p.family.recipe, p.verdict) for p in s.pairs] for s in found] == [
        [("hot", S.FIXED), ("mild", S.SAFE)],
        [("hot", S.NOT_SAFE), ("mild", S.SAFE)],
    ]


def test_a_reference_cell_is_not_part_of_a_step() -> None:
    cells = [p for s in steps(regression().cells) for pair in s.pairs for p in pair.sides]

    assert all(cell.record.stack.family == "unsloth" for cell in cells)


def test_a_family_that_one_release_lost_leaves_the_step_to_it_without_an_answer() -> None:
    found = steps(
        [
            *(on_release(release) for release in RELEASES),
            on_release("2025.3.14", recipe="mild"),
            on_release("2026.10.9", recipe="mild"),
        ]
    )

    assert [step.verdict for step in found] == [S.NO_ANSWER, S.SAFE]
    assert [len(step.pairs) for step in found] == [2, 2]


def test_one_release_has_no_steps() -> None:
    assert steps([on_release("2026.10.9"), on_release("2026.10.9", recipe="mild")]) == []


def test_what_a_step_leaves_unanswered_is_named() -> None:
    old = side({"a": Outcome.PASS, "b": Outcome.PASS}, "2025.6.8")
    new = side({"a": Outcome.PASS, "b": Outcome.SKIPPED}, "2026.10.9")
    assert old
    assert new

    ((pair,),) = [step.pairs for step in steps([old, new])]

    assert (pair.verdict, pair.unanswered) == (S.SAFE, ["b"])


def test_new_cells_leave_a_step_the_verdict_of_the_others() -> None:
    new = [on_release("2026.10.9", outcome, f"new-{outcome}") for outcome in Outcome]

    (step,) = steps([on_release("2025.6.8"), on_release("2026.10.9"), *new])
    (up,) = to_newest([on_release("2025.6.8"), on_release("2026.10.9"), *new])

    assert len(step.pairs) == 1 + len(new)
    assert (step.verdict, up.verdict) == (S.SAFE, S.SAFE)


def test_a_step_whose_every_cell_is_new_is_no_answer() -> None:
    cells = [on_release(release) for release in ("2025.6.8", "2026.10.8")]
    cells += [on_release(r, recipe="mild") for r in ("2026.10.9", "2026.10.10")]

    assert [(s.new.label, s.verdict) for s in steps(cells)] == [
        ("2026.10.8", S.SAFE),
        ("2026.10.9", S.NO_ANSWER),
        ("2026.10.10", S.SAFE),
    ]


def upgrade(*said: Outcome | None) -> tuple[StepVerdict, str | None]:
    cells = [on_release(r, o) for r, o in zip(RELEASES, said, strict=True) if o]
    (found,) = to_newest(cells)
    return found.verdict, found.old.label if found.old else None


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ((Outcome.PASS, Outcome.PASS, Outcome.PASS), (S.SAFE, "2025.3.14")),
        ((Outcome.FAIL, Outcome.PASS, Outcome.PASS), (S.FIXED, "2025.3.14")),
        ((Outcome.PASS, Outcome.FAIL, Outcome.PASS), (S.FIXED, "2025.3.14")),
        # A crash long ago does not hide that the release in between was sound.
        ((Outcome.CRASHED, Outcome.PASS, Outcome.FAIL), (S.NOT_SAFE, "2025.6.8")),
        ((Outcome.PASS, Outcome.FAIL, Outcome.FAIL), (S.NOT_SAFE, "2025.3.14")),
        ((Outcome.FAIL, Outcome.FAIL, Outcome.FAIL), (S.STILL_RED, "2025.3.14")),
        ((Outcome.PASS, Outcome.PASS, Outcome.TIMEOUT), (S.NO_ANSWER, None)),
        ((Outcome.INFRA, Outcome.PASS, Outcome.PASS), (S.SAFE, "2025.6.8")),
        ((Outcome.INFRA, None, Outcome.PASS), (S.NO_ANSWER, None)),
    ],
)
def test_the_newest_release_is_judged_against_every_earlier_one(
    said: tuple[Outcome | None, ...], expected: tuple[StepVerdict, str | None]
) -> None:
    assert upgrade(*said) == expected


def test_a_green_upgrade_starts_where_every_cell_has_an_answer() -> None:
    cells = [on_release(release) for release in RELEASES]
    cells += [on_release(release, recipe="mild") for release in RELEASES[1:]]

    (found,) = to_newest(cells)

    assert found.old
    assert (found.verdict, found.old.label) == (S.SAFE, "2025.6.8")


def test_each_hardware_has_an_upgrade_of_its_own_and_the_worst_comes_first() -> None:
    native = {"name": "cpu", "kind": "native"}
    cells = [on_release(release, hardware=native) for release in RELEASES]
    cells += [on_release("2025.6.8"), on_release("2026.10.9", Outcome.FAIL)]

    found = to_newest(cells)

    assert [(u.machine, u.verdict) for u in found] == [
        ("t4 (emulated)", S.NOT_SAFE),
        ("cpu", S.SAFE),
    ]
