"""A real process pair measures every size of slowdown, and a leak is told from a clean run."""

from dataclasses import replace

import pytest
from rich.console import Console

from harness.plan import Options, Plan
from harness.sensitivity.leaks import leak_fault, measure_leaks
from harness.sensitivity.pool import read_pool
from harness.sensitivity.rates import SIZES
from harness.sensitivity.runs import Source, measure_pairs
from harness.throughput.turns import Schedule

pytestmark = pytest.mark.trains

CELL = "reference-2026.10.9/cpu/float32/mild"


def test_a_pair_measures_the_slowdowns_that_are_injected() -> None:
    plan = Plan(Options())
    source = replace(
        Source.of(plan, plan.matrix.cell(CELL)),
        schedule=Schedule(warm_up=6, steps=16, evaluate_every=17),
    )
    blocks = measure_pairs(source, 1, Console(), minutes=None, fresh=False)
    found = {block.size: block.sides.log_ratio for block in blocks}
    assert tuple(found) == SIZES
    assert abs(found[0.0]) < 0.15
    # Sixteen turns on a shared machine: the size is right within a factor of two.
    assert 0.11 < found[0.25] - found[0.0] < 0.45
    assert read_pool(source.file) == blocks


def test_a_leak_is_told_from_a_clean_run() -> None:
    clean, leaking = measure_leaks(leak_fault(), 1, Console())
    assert (clean.share, leaking.share) == (0, 1)
