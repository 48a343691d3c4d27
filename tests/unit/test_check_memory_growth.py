"""Memory in use over the steps: level, jumping, leaking."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.checks import Context
from harness.checks.memory_growth import judge
from harness.record import Phase
from harness.verdict import Outcome, Verdict
from tests.unit.records import STEPS, make_record

KIB, MIB = 2**10, 2**20


def verdict_on(used: list[int | None]) -> Verdict:
    return judge(make_record(steps={"count": len(used), "memory_bytes": used}), Context())


def level(seed: int = 0, count: int = STEPS, noise: int = 10 * KIB) -> list[int | None]:
    draw = random.Random(seed)
    return [180 * MIB + draw.randrange(-noise, noise) for _ in range(count)]


def leaking(per_step: int, seed: int = 0, count: int = STEPS) -> list[int | None]:
    steady = level(seed, count)
    return [(used or 0) + n * per_step for n, used in enumerate(steady)]


def test_a_healthy_run_passes() -> None:
    assert judge(make_record(), Context()).outcome is Outcome.PASS


@given(st.integers(0, 10_000), st.integers(20, 400))
def test_level_memory_passes(seed: int, count: int) -> None:
    assert verdict_on(level(seed, count)).outcome is Outcome.PASS


@given(st.integers(0, 10_000), st.integers(20, 400), st.integers(64 * KIB, 4 * MIB))
def test_a_leak_in_every_step_fails(seed: int, count: int, per_step: int) -> None:
    verdict = verdict_on(leaking(per_step, seed, count))

    assert verdict.outcome is Outcome.FAIL
    assert verdict.evidence["bytes_per_step"] == pytest.approx(per_step, abs=8 * KIB)
    assert "keeps tensors or the graph" in verdict.diagnosis[0]


def test_a_leak_in_each_evaluation_fails() -> None:
    used = [value + n // 10 * 4 * MIB for n, value in enumerate(level()) if value is not None]
    assert verdict_on([*used]).outcome is Outcome.FAIL


def test_one_jump_passes() -> None:
    used = [value + (4 * MIB if n > 8 else 0) for n, value in enumerate(level()) if value]
    assert verdict_on([*used]).outcome is Outcome.PASS


def test_memory_that_sinks_passes() -> None:
    verdict = verdict_on(leaking(-300 * KIB))
    assert verdict.outcome is Outcome.PASS
    assert "-300" in verdict.message


def test_growth_below_the_floor_passes_however_clear() -> None:
    verdict = verdict_on([180 * MIB + 2 * KIB * n for n in range(STEPS)])
    assert verdict.outcome is Outcome.PASS
    assert "p = 1e-13" in verdict.message


def test_a_large_model_has_a_larger_floor() -> None:
    large = [(used or 0) + 12 * 2**30 for used in leaking(100 * KIB)]
    assert verdict_on([*large]).outcome is Outcome.PASS


@pytest.mark.parametrize("used", [[None] * STEPS, level(count=17)], ids=["unknown", "few"])
def test_too_few_steps_are_skipped(used: list[int | None]) -> None:
    assert verdict_on(used).outcome is Outcome.SKIPPED


def by_shape(repeated: list[int], rise: int, at_repeats: int = 0) -> Verdict:
    """Judge 16-bit training on a CPU whose memory rises by `rise` where a shape is new."""
    used, new = [180 * MIB], [True]
    for number in range(1, STEPS):
        new.append(number not in repeated)
        used.append(used[-1] + (rise if new[-1] else at_repeats))
    record = make_record(
        steps={"memory_bytes": used, "new_shape": new}, precision={"autocast": "bfloat16"}
    )
    return judge(record, Context())


def test_a_cache_by_shape_is_no_leak() -> None:
    verdict = by_shape([8, 12, 17, 20], 21 * MIB, at_repeats=9 * KIB)

    assert verdict.outcome is Outcome.PASS
    assert "+9.0 KiB at least in the 4 steps of a shape seen before" in verdict.message


def test_a_leak_beside_a_cache_fails() -> None:
    verdict = by_shape([8, 12, 17, 20], 21 * MIB, at_repeats=700 * KIB)

    assert verdict.outcome is Outcome.FAIL
    assert verdict.evidence["bytes_per_step"] == 700 * KIB


def test_a_cache_that_never_repeats_a_shape_is_no_answer() -> None:
    verdict = by_shape([8, 12, 17], 21 * MIB)

    assert verdict.outcome is Outcome.SKIPPED
    assert "pad_to_multiple_of" in verdict.message


def test_on_a_gpu_there_is_no_such_cache() -> None:
    record = make_record(
        steps={"memory_bytes": leaking(MIB), "new_shape": True},
        precision={"autocast": "bfloat16"},
        phases=[Phase(name="train", wall_s=1.0, peak_gpu_allocated=1 << 30)],
    )
    assert judge(record, Context()).outcome is Outcome.FAIL
