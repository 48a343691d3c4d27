from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.baselines.baseline import Baseline, from_records
from harness.checks import Context
from harness.checks.throughput import judge
from harness.figures import throughput_figures
from harness.record import Conditions, Record
from harness.verdict import Outcome
from tests.unit.records import evaluations, make_record, steps


def run(wall_s: float, *, eval_wall_s: float = 0.12, **changes: Any) -> Record:
    changes.setdefault("evaluations", evaluations(6.74, 4.73, 4.38, 4.27, wall_s=eval_wall_s))
    changes.setdefault("steps", steps(wall_s=wall_s, tokens=131))
    return make_record(**changes)


def baseline(*wall_s: float) -> Baseline:
    return from_records([run(w, repeat=i) for i, w in enumerate(wall_s)])


STEADY = baseline(0.073, 0.074, 0.073, 0.074)


def test_figures_are_medians_over_the_steady_window() -> None:
    slow_start = [9.0, 9.0, 9.0] + [0.1] * 26 + [5.0]
    figures = throughput_figures(run(0.1, steps=steps(wall_s=slow_start, tokens=131)))

    assert figures["steps_per_s"] == pytest.approx(10.0)
    assert figures["tokens_per_s"] == pytest.approx(1310.0)


def test_long_run_drops_its_first_tenth() -> None:
    walls = [9.0] * 40 + [0.1] * 360
    half = [9.0] * 205 + [0.1] * 195  # a median over all steps would see 9.0

    assert throughput_figures(run(0, steps=steps(400, wall_s=walls)))["steps_per_s"] == 10.0
    assert throughput_figures(run(0, steps=steps(400, wall_s=half)))["steps_per_s"] == 10.0


def test_evaluation_rate_leaves_out_the_first() -> None:
    record = run(0.1)
    record.evaluations[0].wall_s = 60.0

    assert throughput_figures(record)["eval_tokens_per_s"] == pytest.approx(520 / 0.12, rel=1e-5)


@pytest.mark.parametrize("faulty", [steps(7), steps(wall_s=0.0), []], ids=str)
def test_too_few_timed_steps_are_skipped_with_the_rule(faulty: list[Any]) -> None:
    verdict = judge(make_record(steps=faulty), Context(baseline=STEADY))

    assert verdict.outcome is Outcome.SKIPPED
    assert "a rate needs 5" in verdict.message


def test_five_steady_steps_are_enough() -> None:
    assert "steps_per_s" in throughput_figures(make_record(steps=steps(8)))


@pytest.mark.parametrize("unmeasured", [{"wall_s": 0.0}, {"tokens": 0}])
def test_unmeasured_evaluations_give_no_rate(unmeasured: dict[str, Any]) -> None:
    record = run(0.1, evaluations=evaluations(6.74, 4.73, 4.38, 4.27, **unmeasured))

    assert "eval_tokens_per_s" not in throughput_figures(record)


def test_unmeasured_tokens_leave_the_step_rate() -> None:
    figures = throughput_figures(run(0.1, steps=steps(wall_s=0.1, tokens=0)))

    assert figures["steps_per_s"] == 10.0
    assert "tokens_per_s" not in figures


def test_samples_are_the_rows_of_a_step_and_evaluation_leaves_out_the_first() -> None:
    record = run(0.1)
    for evaluation, wall_s in zip(record.evaluations, (9.0, 3.0, 0.2, 0.4), strict=True):
        evaluation.wall_s = wall_s
    figures = throughput_figures(record)

    assert figures["samples_per_s"] == pytest.approx(10.0 * 40 * 3 / 30)
    assert figures["eval_s"] == pytest.approx(0.4)


def test_rows_that_were_not_counted_give_no_samples() -> None:
    record = run(0.1)
    record.rows = {}

    assert "samples_per_s" not in throughput_figures(record)


def test_without_baseline_is_uncalibrated_and_records_the_rates() -> None:
    verdict = judge(run(0.1), Context())

    assert verdict.outcome is Outcome.UNCALIBRATED
    assert verdict.evidence["steps_per_s"] == 10.0
    assert verdict.evidence["tokens_per_s"] == 1310.0


@pytest.mark.parametrize("wall_s", [0.0735, 0.0737, 0.03])
def test_within_the_band_or_faster_passes(wall_s: float) -> None:
    verdict = judge(run(wall_s), Context(baseline=STEADY))

    assert verdict.outcome is Outcome.PASS
    assert "x the baseline (band" in verdict.message


def test_slower_than_the_band_fails_with_ratio_and_band() -> None:
    verdict = judge(run(0.147), Context(baseline=STEADY))

    assert verdict.outcome is Outcome.FAIL
    assert "0.500 x the baseline" in verdict.message
    assert verdict.evidence["ratios"]["steps_per_s"] == pytest.approx(0.5, rel=1e-3)
    assert verdict.diagnosis
    assert verdict.advice


def test_slower_evaluation_alone_fails() -> None:
    verdict = judge(run(0.0735, eval_wall_s=0.12 * 1.3), Context(baseline=STEADY))

    assert verdict.outcome is Outcome.FAIL
    assert "evaluated tokens/s" in verdict.message


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"recipe": {"batch_size": 8}}, "recipe_digest"),
        ({"dtype_request": "nf4"}, "dtype_request"),
        ({"stack": {"family": "reference"}}, "stack_family"),
        ({"hardware": {"device": "Other CPU"}}, "device"),
        ({"hardware": {"cores": 8}}, "cores"),
        ({"hardware": {"threads": 2}}, "threads"),
        ({"hardware": {"parallel_cells": 2}}, "parallel_cells"),
        ({"hardware": {"kind": "emulated"}}, "hardware_kind"),
        ({"hardware": {"name": "t4-emulated"}}, "hardware"),
    ],
)
def test_baseline_of_another_experiment_is_incomparable(changes: dict[str, Any], key: str) -> None:
    verdict = judge(run(0.3, **changes), Context(baseline=STEADY))

    assert verdict.outcome is Outcome.INCOMPARABLE
    assert list(verdict.evidence["differences"]) == [key]
    assert f"differs in {key}" in verdict.message


def test_another_release_of_the_same_family_is_comparable() -> None:
    record = run(0.0735, stack={"release": "2026.11.1", "name": "unsloth-2026.11.1"})

    assert judge(record, Context(baseline=STEADY)).outcome is Outcome.PASS


def test_fewer_than_three_repeats_are_uncalibrated() -> None:
    few = STEADY.model_copy(update={"runs": STEADY.runs[:2], "bands": {}})
    verdict = judge(run(0.3), Context(baseline=few))

    assert verdict.outcome is Outcome.UNCALIBRATED
    assert "2 repeat(s)" in verdict.message


def test_band_too_wide_to_see_a_change_by_half_is_uncalibrated() -> None:
    scattered = from_records(
        [run(w, eval_wall_s=w, repeat=i) for i, w in enumerate((0.05, 0.08, 0.11))]
    )
    verdict = judge(run(0.5), Context(baseline=scattered))

    assert verdict.outcome is Outcome.UNCALIBRATED
    assert "spread too far" in verdict.message


def test_uncalibrated_names_this_machine_and_those_that_have_a_baseline() -> None:
    verdict = judge(run(0.1), Context(machines=("amd-epyc-8-cores", "nvidia-h100")))

    assert verdict.outcome is Outcome.UNCALIBRATED
    assert (
        "approved on example-cpu-2-cores, only on amd-epyc-8-cores, nvidia-h100" in verdict.message
    )


BUSY = [Conditions(phase="train", cpu_others=0.4)]


def test_a_slow_run_on_a_disturbed_machine_is_no_answer() -> None:
    verdict = judge(run(0.147, conditions=BUSY), Context(baseline=STEADY))

    assert verdict.outcome is Outcome.INFRA
    assert "0.500 x the baseline" in verdict.message
    assert "other processes took 40% of the CPU time during train" in verdict.message
    assert verdict.evidence["disturbed"]
    assert not verdict.diagnosis


def test_a_fast_run_on_a_disturbed_machine_passes() -> None:
    assert judge(run(0.0735, conditions=BUSY), Context(baseline=STEADY)).outcome is Outcome.PASS


def test_load_while_nothing_is_timed_disturbs_nothing() -> None:
    elsewhere = [Conditions(phase="import", cpu_others=0.9)]

    assert judge(run(0.147, conditions=elsewhere), Context(baseline=STEADY)).outcome is Outcome.FAIL


def test_what_is_outside_a_band_too_wide_to_pass_fails() -> None:
    scattered = from_records(
        [run(0.073, eval_wall_s=w, repeat=i) for i, w in enumerate((0.10, 0.12, 0.14, 0.12, 0.12))]
    )
    within, outside = (
        judge(run(0.073, eval_wall_s=w), Context(baseline=scattered)) for w in (0.15, 0.9)
    )

    assert within.evidence["not_judged"] == ["eval_tokens_per_s", "eval_s"]
    assert within.outcome is Outcome.PASS
    assert outside.outcome is Outcome.FAIL
    assert "0.9 s an evaluation is 7.542 x the baseline" in outside.message


def test_figure_without_a_useful_band_is_named_beside_the_others() -> None:
    scattered = from_records(
        [run(0.073, eval_wall_s=w, repeat=i) for i, w in enumerate((0.05, 0.08, 0.11))]
    )
    verdict = judge(run(0.073), Context(baseline=scattered))

    assert verdict.outcome is Outcome.PASS
    assert "no useful band for eval_tokens_per_s" in verdict.message


def test_emulated_speed_is_labelled() -> None:
    verdict = judge(run(0.1, hardware={"kind": "emulated", "name": "t4"}), Context())

    assert "emulated on Example CPU: not a figure of a t4" in verdict.message
    assert "emulated" not in judge(run(0.1), Context()).message


def test_pass_names_the_figure_nearest_to_a_fail() -> None:
    verdict = judge(run(0.05, eval_wall_s=0.123), Context(baseline=STEADY))

    assert verdict.outcome is Outcome.PASS
    assert "0.123 s an evaluation is 1.025 x" in verdict.message


@given(st.floats(1.0, 1e3))
def test_property_slower_never_judged_better(factor: float) -> None:
    faster, slower = (
        judge(run(0.0735 * f), Context(baseline=STEADY)).outcome for f in (factor, 2 * factor)
    )

    assert not (faster is Outcome.FAIL and slower is Outcome.PASS)
    assert slower is Outcome.FAIL
