import pytest

from harness.releases import Release, family_of, histories, left_out, release_of
from harness.verdict import Outcome
from tests.unit.gate_results import cell, emulated, gate, many, on_release
from tests.unit.records import make_record


def order(*cells_of: str) -> list[str]:
    cells = [on_release(release) for release in cells_of]
    return [release.label for release, _ in histories(cells)[0].cells]


def test_releases_are_ordered_as_versions_not_as_text() -> None:
    assert order("2026.10.9", "2025.3.14", "2026.9.1", "2025.10.2") == [
        "2025.3.14",
        "2025.10.2",
        "2026.9.1",
        "2026.10.9",
    ]


def test_a_live_stack_follows_the_numbered_release_of_its_version() -> None:
    live = [
        on_release("2026.10.9", stack={"name": name, "release": "2026.10.9"})
        for name in ("frontier", "current")
    ]
    found = histories([*live, on_release("2026.10.9"), on_release("2026.10.8")])[0]

    assert [release.label for release, _ in found.cells] == [
        "2026.10.8",
        "2026.10.9",
        "current (2026.10.9)",
        "frontier (2026.10.9)",
    ]


def test_a_live_stack_is_of_the_version_that_ran() -> None:
    record = make_record(
        stack={"name": "current", "release": "2026.1.4"},
        executed={"packages": {"unsloth": "2026.9.1"}},
    )

    assert release_of(record) == Release("current", "2026.9.1")


def test_a_live_stack_that_ended_early_is_of_the_version_it_was_built_for() -> None:
    record = make_record(stack={"name": "frontier", "release": "2026.9.1"}, executed=None)

    assert release_of(record) == Release("frontier", "2026.9.1")


def test_a_reference_stack_is_of_no_release() -> None:
    record = make_record(stack={"name": "reference-2026.10.9", "family": "reference"})

    assert release_of(record) is None
    assert left_out([cell(record)]) == []


def test_a_version_that_is_none_is_left_out_by_name() -> None:
    odd = on_release("a tag", stack={"name": "lock:mine", "release": "a tag"})
    odd.record.executed = None
    cells = [on_release("2026.10.8"), on_release("2026.10.9"), odd]

    assert left_out(cells) == ["lock:mine"]
    assert len(histories(cells)[0].cells) == 2


@pytest.mark.parametrize(
    "change",
    [
        {"dtype_request": "float16"},
        {"recipe": {"name": "other"}},
        {"recipe_digest": "ffffffffffff"},
        {"hardware": make_record(hardware=emulated("l4")).hardware},
        {"hardware": make_record(hardware={**emulated(), "kind": "native"}).hardware},
        {"fault": "frozen_adapter"},
    ],
    ids=["dtype", "recipe", "digest", "hardware", "kind", "fault"],
)
def test_cells_of_another_experiment_are_not_of_one_family(change: dict[str, object]) -> None:
    old, new = on_release("2025.6.8"), on_release("2026.10.9")
    other = new.model_copy(update={"record": new.record.model_copy(update=change)})

    assert family_of(other.record) != family_of(old.record)
    assert len(histories([old, new])) == 1
    assert histories([old, other]) == []


def test_a_family_is_named_as_the_cell_without_its_stack() -> None:
    assert family_of(on_release("2025.6.8").record).name == "t4/auto/hot (emulated)"


def test_families_of_one_name_are_told_apart() -> None:
    releases = ("2025.6.8", "2026.10.9")
    plain = [on_release(release) for release in releases]
    faulty = [on_release(release, fault="freeze") for release in releases]
    scaled = [on_release(release, recipe_digest="ffffffffffff") for release in releases]

    names = [history.family.name for history in histories([*plain, *faulty, *scaled])]

    digest = plain[0].record.recipe_digest
    assert names == [
        f"t4/auto/hot (emulated) [recipe {digest}, no fault]",
        f"t4/auto/hot (emulated) [recipe {digest}, fault freeze]",
        "t4/auto/hot (emulated) [recipe ffffffffffff, no fault]",
    ]
    assert histories(faulty)[0].family.name == "t4/auto/hot (emulated)"


def test_one_release_alone_has_no_history() -> None:
    assert histories([on_release("2026.10.9"), on_release("2026.10.9", recipe="mild")]) == []
    assert histories([]) == []


def test_of_two_cells_on_one_release_the_worse_one_counts() -> None:
    cells = [on_release("2025.6.8"), on_release("2026.10.9")]
    red = on_release("2026.10.9", Outcome.FAIL)

    for order_of in ([*cells, red], [red, *cells]):
        assert histories(order_of)[0].cells[1][1] is red


def test_first_red_and_first_fixed() -> None:
    releases = ("2025.3.14", "2025.6.8", "2026.1.4", "2026.10.9")
    said = (Outcome.PASS, Outcome.FAIL, Outcome.TIMEOUT, Outcome.PASS)
    (found,) = histories([on_release(r, o) for r, o in zip(releases, said, strict=True)])

    assert found.first_red == Release("unsloth-2025.6.8", "2025.6.8")
    assert found.first_fixed == Release("unsloth-2026.10.9", "2026.10.9")


def test_what_was_never_red_was_never_fixed() -> None:
    (found,) = histories([on_release("2025.6.8"), on_release("2026.10.9")])

    assert (found.first_red, found.first_fixed) == (None, None)


def test_a_run_over_one_release_has_nothing_to_compare() -> None:
    assert histories(gate(*many(20).cells[::5]).cells) == []
