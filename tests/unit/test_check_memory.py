from typing import Any

import pytest

from harness.baselines.baseline import Baseline, from_records
from harness.checks import Context
from harness.checks.memory import judge
from harness.record import Conditions, Phase, Probe, Record
from harness.verdict import Outcome
from tests.unit.records import activation_memory, make_record

MIB = 1 << 20


def run(train: int, *, gpu: bool = False, **changes: Any) -> Record:
    phases = [
        Phase(
            name=name,
            wall_s=1.0,
            peak_rss=(900 if gpu else peak) * MIB,
            peak_gpu_allocated=peak * MIB if gpu and name != "import" else None,
        )
        for name, peak in (("import", 600), ("train", train))
    ]
    return make_record(**{"phases": phases, "probe": None, **changes})


def baseline(*peaks: int, gpu: bool = False) -> Baseline:
    return from_records([run(peak, gpu=gpu, repeat=i) for i, peak in enumerate(peaks)])


STEADY = baseline(900, 905, 910)


def test_peak_within_the_band_passes() -> None:
    assert judge(run(907), Context(baseline=STEADY)).outcome is Outcome.PASS


def test_smaller_peak_passes() -> None:
    assert judge(run(400), Context(baseline=STEADY)).outcome is Outcome.PASS


def test_pass_names_the_phase_nearest_to_a_fail() -> None:
    assert "peak_rss.import" in judge(run(400), Context(baseline=STEADY)).message
    assert "peak_rss.train" in judge(run(920), Context(baseline=STEADY)).message


def test_larger_peak_of_one_phase_fails_and_names_it() -> None:
    verdict = judge(run(1200), Context(baseline=STEADY))

    assert verdict.outcome is Outcome.FAIL
    assert "peak_rss.train 1200.0 MiB is 1.326 x the baseline" in verdict.message
    assert "import" not in verdict.message


def test_gpu_memory_is_judged_where_it_was_measured() -> None:
    same = baseline(3000, 3000, 3000, gpu=True)
    verdict = judge(run(3300, gpu=True), Context(baseline=same))

    assert verdict.outcome is Outcome.FAIL
    assert "peak_gpu_allocated.train" in verdict.message
    assert not any("rss" in name for name in verdict.evidence)


def test_identical_repeats_still_leave_five_percent() -> None:
    same = baseline(3000, 3000, 3000, gpu=True)

    assert judge(run(3140, gpu=True), Context(baseline=same)).outcome is Outcome.PASS


def test_without_baseline_is_uncalibrated_with_every_phase() -> None:
    verdict = judge(run(900), Context())

    assert verdict.outcome is Outcome.UNCALIBRATED
    assert verdict.evidence["peak_rss.import"] == 600 * MIB
    assert "peak_rss.train 900.0 MiB" in verdict.message


def test_other_hardware_is_incomparable() -> None:
    verdict = judge(run(1200, hardware={"device": "Other CPU"}), Context(baseline=STEADY))

    assert verdict.outcome is Outcome.INCOMPARABLE
    assert "'Example CPU' then, 'Other CPU' now" in verdict.message


@pytest.mark.parametrize("phases", [[], [Phase(name="train", wall_s=1.0)]], ids=["none", "empty"])
def test_unmeasured_memory_is_skipped(phases: list[Phase]) -> None:
    assert judge(run(0, phases=phases), Context(baseline=STEADY)).outcome is Outcome.SKIPPED


def test_memory_is_judged_on_a_disturbed_machine_too() -> None:
    busy = [Conditions(phase="train", cpu_others=0.9)]

    assert judge(run(1200, conditions=busy), Context(baseline=STEADY)).outcome is Outcome.FAIL


def test_what_the_allocator_holds_on_a_gpu_is_judged_beside_what_tensors_take() -> None:
    def held(reserved: int, repeat: int = 0) -> Record:
        phase = Phase(
            name="train",
            wall_s=1.0,
            peak_gpu_allocated=3000 * MIB,
            peak_gpu_reserved=reserved * MIB,
        )
        return make_record(phases=[phase], repeat=repeat)

    same = from_records([held(4000, repeat) for repeat in range(3)])
    verdict = judge(held(5000), Context(baseline=same))

    assert verdict.outcome is Outcome.FAIL
    assert "peak_gpu_reserved.train 5000.0 MiB is 1.250 x" in verdict.message
    assert "allocated" not in verdict.message


def test_more_bytes_a_token_fail() -> None:
    lean, rich = ({"activation_memory": activation_memory(m)} for m in (1.0, 1.5))
    approved = from_records([run(900, probe=Probe(**lean), repeat=i) for i in range(3)])
    verdict = judge(run(900, probe=Probe(**rich)), Context(baseline=approved))

    assert verdict.outcome is Outcome.FAIL
    assert "bytes_per_token 160.5 KiB is 1.092 x the baseline" in verdict.message


def test_phase_the_baseline_lacks_is_named() -> None:
    more = run(905)
    more.phases.append(Phase(name="merge", wall_s=1.0, peak_rss=950 * MIB))
    verdict = judge(more, Context(baseline=STEADY))

    assert verdict.outcome is Outcome.PASS
    assert verdict.evidence["not_judged"] == ["peak_rss.merge"]
