from typing import Any

import pytest

from harness.baselines.baseline import from_records
from harness.checks import Context
from harness.checks.start_up import judge
from harness.figures import start_up_figures
from harness.record import Conditions, Phase, Record
from harness.verdict import Outcome
from tests.unit.records import make_record


def run(repeat: int = 0, *, first_step_s: float = 0.4, **changes: Any) -> Record:
    walls = {"import": 7.0, "load": 0.6, "data": 0.4, "train": 3.4}
    for name in walls.keys() & changes.keys():
        walls[name] = changes.pop(name)
    phases = [Phase(name=name, wall_s=wall_s) for name, wall_s in walls.items()]
    record = make_record(**{"phases": phases, "repeat": repeat, **changes})
    record.steps[0].wall_s = first_step_s
    return record


STEADY = from_records([run(repeat) for repeat in range(3)])


def test_figures_are_the_parts_and_their_sum() -> None:
    assert start_up_figures(run()) == {
        "import_s": 7.0,
        "load_s": 0.6,
        "data_s": 0.4,
        "first_step_s": 0.4,
        "time_to_first_step_s": 8.4,
    }


@pytest.mark.parametrize(
    "partial",
    [
        run(phases=[Phase(name="load", wall_s=0.6)]),
        run(preloaded=True),
        make_record(steps=[]),
        run(first_step_s=float("nan")),
    ],
    ids=["phases", "preloaded", "steps", "nan"],
)
def test_a_missing_part_leaves_no_sum(partial: Record) -> None:
    assert "time_to_first_step_s" not in start_up_figures(partial)


def test_as_soon_as_the_baseline_passes() -> None:
    assert judge(run(), Context(baseline=STEADY)).outcome is Outcome.PASS
    assert judge(run(load=0.1), Context(baseline=STEADY)).outcome is Outcome.PASS


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"import": 9.0}, "9 s to import is 1.286 x the baseline"),
        ({"load": 2.6}, "2.6 s to load is 4.333 x"),
        ({"data": 1.4}, "1.4 s for data and trainer"),
        ({"first_step_s": 5.0}, "5 s for the first step"),
    ],
)
def test_a_slower_part_fails_and_is_named(changes: dict[str, Any], says: str) -> None:
    verdict = judge(run(**changes), Context(baseline=STEADY))

    assert verdict.outcome is Outcome.FAIL
    assert says in verdict.message
    assert "to the first step" in verdict.message


def test_a_preloaded_run_is_skipped() -> None:
    assert judge(run(preloaded=True), Context(baseline=STEADY)).outcome is Outcome.SKIPPED


def test_without_a_baseline_it_is_uncalibrated() -> None:
    assert judge(run(), Context()).outcome is Outcome.UNCALIBRATED


def test_a_slow_import_on_a_shared_machine_is_no_answer() -> None:
    shared = [Conditions(phase="import", cpu_steal=0.3)]
    slow: dict[str, Any] = {"conditions": shared, "import": 20.0}
    verdict = judge(run(**slow), Context(baseline=STEADY))

    assert verdict.outcome is Outcome.INFRA
    assert "the hypervisor kept 30% of the CPU time during import" in verdict.message
