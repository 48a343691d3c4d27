from typing import Any

import pytest

from harness.baselines.baseline import from_records
from harness.checks import Context
from harness.checks.memory import judge as judge_memory
from harness.checks.throughput import judge
from harness.gate import judge_cells
from harness.record import Conditions, Phase, Record
from harness.reference_ratio import ratios, reference_of, references
from harness.verdict import Outcome
from tests.unit.records import evaluations, make_record, steps

PLAIN = {"name": "reference-2026.10.9", "family": "reference"}


def run(wall_s: float, mib: int = 900, **changes: Any) -> Record:
    return make_record(
        steps=steps(wall_s=wall_s),
        evaluations=evaluations(6.74, 4.73, 4.38, 4.27, wall_s=wall_s),
        phases=[Phase(name="train", wall_s=1.0, peak_rss=mib << 20)],
        **changes,
    )


def plain(wall_s: float, mib: int = 900, **changes: Any) -> Record:
    return run(wall_s, mib, cell_id="reference-2026.10.9/cpu/float32/mild", stack=PLAIN, **changes)


def test_ratios_are_the_figures_over_those_of_the_reference() -> None:
    mine, other = run(0.1, 900), plain(0.2, 600)

    assert ratios(mine, other, "throughput") == {
        "steps_per_s_over_reference": 2.0,
        "eval_s_over_reference": 0.5,
    }
    assert ratios(mine, other, "memory") == {"peak_rss.train_over_reference": 1.5}
    assert ratios(mine, other, "start_up") == {}
    assert ratios(mine, None, "throughput") == {}


def test_a_disturbed_reference_gives_no_ratio_of_speeds() -> None:
    busy = plain(0.2, 600, conditions=[Conditions(phase="train", cpu_others=0.5)])

    assert ratios(run(0.1), busy, "throughput") == {}
    assert ratios(run(0.1), busy, "memory") != {}


@pytest.mark.parametrize(
    "changes",
    [
        {"dtype_request": "nf4"},
        {"recipe": {"seed": 9}},
        {"hardware": {"threads": 2}},
        {"hardware": {"name": "t4-emulated"}},
        {"hardware": {"parallel_cells": 2}},
        {"repeat": 1},
        {"preloaded": True},
        {"fault": "slower_steps"},
        {"extras": ["reload"]},
        {"status": "OOM"},
    ],
)
def test_only_a_run_of_the_same_fine_tune_is_a_reference(changes: dict[str, Any]) -> None:
    assert reference_of(run(0.1), references([plain(0.2)])) is not None
    assert reference_of(run(0.1), references([plain(0.2, **changes)])) is None
    assert reference_of(plain(0.1), references([plain(0.2)])) is None


def test_the_gate_shows_the_ratio_without_a_baseline() -> None:
    cell, _ = judge_cells([(run(0.1), False), (plain(0.2), False)])
    (said,) = (v for v in cell.verdicts if v.check == "throughput")

    assert said.outcome is Outcome.UNCALIBRATED
    assert "2 x the reference stack in steps_per_s" in said.message
    assert said.evidence["steps_per_s_over_reference"] == 2.0


def test_a_baseline_that_was_measured_beside_the_reference_judges_the_ratio() -> None:
    beside = references(plain(0.1, repeat=n) for n in range(3))
    baseline = from_records([run(0.1, repeat=n) for n in range(3)], beside)
    context = Context(baseline=baseline, reference=plain(0.05, 900))

    assert baseline.bands["steps_per_s_over_reference"].center == 1.0
    verdict = judge(run(0.1), context)
    assert verdict.outcome is Outcome.FAIL
    assert "0.5 x the reference stack in steps_per_s is 0.500 x the baseline" in verdict.message
    assert judge_memory(run(0.1), context).outcome is Outcome.PASS


def test_a_baseline_without_ratios_judges_none() -> None:
    baseline = from_records([run(0.1, repeat=n) for n in range(3)])
    verdict = judge(run(0.1), Context(baseline=baseline, reference=plain(0.05)))

    assert verdict.outcome is Outcome.PASS
    assert verdict.evidence["not_judged"] == []
