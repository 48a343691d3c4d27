from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from harness.gate import CellResult
from harness.reports.differences import (
    ABSENT,
    arguments,
    describe,
    differences,
    executed_path,
    packages,
    shared,
)
from tests.unit.gate_results import cell, emulated, ended
from tests.unit.records import make_record


def with_arguments(**values: Any) -> CellResult:
    record = make_record()
    assert record.executed is not None
    record.executed.arguments = values
    return cell(record)


def test_a_moved_default_is_found_with_the_cells_that_have_each_value() -> None:
    old, new, newer = (with_arguments(loss_type=v) for v in ("nll", "chunked", "chunked"))

    (found,) = differences([old, new, newer], arguments)

    assert found.name == "loss_type"
    assert found.values == (("chunked", (new, newer)), ("nll", (old,)))


def test_an_argument_that_only_one_cell_knows_is_absent_elsewhere() -> None:
    (found,) = differences([with_arguments(a=1), with_arguments(a=1, packing=True)], arguments)

    assert {value for value, _ in found.values} == {"True", ABSENT}


def test_equal_values_are_no_difference_and_are_shared() -> None:
    cells = [with_arguments(lr=1e-3, seed=1), with_arguments(lr=1e-3, seed=2)]

    assert [d.name for d in differences(cells, arguments)] == ["seed"]
    assert shared(cells, arguments) == {"lr": "0.001"}


def test_a_run_that_ended_before_the_facts_takes_no_part() -> None:
    cells = [with_arguments(seed=1), ended("CRASHED", "ImportError")]

    assert differences(cells, arguments) == []
    assert shared(cells, arguments) == {"seed": "1"}


def test_paths_of_the_run_itself_come_last() -> None:
    cells = [with_arguments(a_dir=f"/run/{n}", bf16=n > 1) for n in range(3)]

    assert [d.name for d in differences(cells, arguments)] == ["bf16", "a_dir"]


def test_a_moved_value_comes_before_a_name_that_some_do_not_have() -> None:
    cells = [with_arguments(a_new=1, optim="adamw_8bit"), with_arguments(optim="adamw_torch")]

    assert [d.name for d in differences(cells, arguments)] == ["optim", "a_new"]


def test_none_differs_from_absent_and_from_the_word() -> None:
    values = differences([with_arguments(x=None), with_arguments()], arguments)[0].values

    assert {value for value, _ in values} == {"None", ABSENT}


@given(st.lists(st.dictionaries(st.sampled_from("abc"), st.integers(0, 2)), min_size=1, max_size=5))
def test_each_name_is_either_shared_or_different_and_covers_every_cell(
    mappings: list[dict[str, int]],
) -> None:
    cells = [with_arguments(**mapping) for mapping in mappings]

    found = differences(cells, arguments)

    assert {d.name for d in found} | set(shared(cells, arguments)) == set().union(*mappings)
    assert not {d.name for d in found} & set(shared(cells, arguments))
    for difference in found:
        assert sum(len(members) for _, members in difference.values) == len(cells)


def test_a_group_is_described_by_what_only_it_has() -> None:
    on_t4 = [cell(hardware=emulated()), cell(hardware=emulated(), dtype_request="float16")]
    others = [cell(), cell(dtype_request="nf4")]

    assert describe(on_t4, [*on_t4, *others]) == "hardware t4 (emulated)"
    assert describe(others, [*on_t4, *others]) == "hardware cpu"
    assert describe([on_t4[0], others[1]], [*on_t4, *others]) is None


def test_packages_and_the_executed_path_are_compared_too() -> None:
    old = make_record()
    new = make_record(executed={"attention_implementation": "flex", "packages": {"trl": "1.15.0"}})

    assert {d.name for d in differences([cell(old), cell(new)], executed_path)} == {
        "attention implementation"
    }
    assert "trl" in {d.name for d in differences([cell(old), cell(new)], packages)}
