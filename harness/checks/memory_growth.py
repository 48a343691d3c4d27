"""Memory in use at the end of a step does not go on growing once training is warm.

Exists for Z#857's kind: something keeps the logits or the graph of each step, and a run of thousands of
steps ends out of memory where one of thirty does not. Needs no baseline. The bytes are those a GPU's
allocator, or malloc, has handed out (`harness.record.Step.memory_bytes`).
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from harness.checks import Context, verdict
from harness.figures import WARM_UP_STEPS, steady_steps
from harness.history.trends import mann_kendall, theil_sen
from harness.record import Record, Step
from harness.verdict import Outcome, Verdict

MIN_STEPS = 15
"""Fewer steady steps: a trend could not be told from a jump."""
MIN_BYTES_PER_STEP = 16 * 2**10
"""Policy. Clean tiny runs grow by up to 2 KiB a step, most of it this harness's own evidence."""
MIN_SHARE = 0.002
"""Policy: of the median, over the run. Batches of other lengths leave a large model uneven."""
ALPHA = 1e-3
"""Of the test for a trend; a leak of equal steps has p below 1e-6 over 15."""
MIN_REPEATED = 4
"""Steps of a shape seen before that a cache by shape needs, to be told from a leak."""


@dataclass(frozen=True)
class _Growth:
    """How memory grows: bytes a step, whether that is more than chance, and in words why."""

    slope: float
    is_clear: bool
    words: str


def judge(record: Record, context: Context) -> Verdict:
    """FAIL growth that is clear and above both floors."""
    del context
    steps = [step for step in steady_steps(record.steps) if step.memory_bytes is not None]
    if len(steps) < MIN_STEPS:
        return verdict(
            "memory_growth",
            record,
            Outcome.SKIPPED,
            f"memory in use is known of {len(steps)} steps after the {WARM_UP_STEPS} of warm-up; a "
            f"trend needs {MIN_STEPS}",
        )
    used = [float(step.memory_bytes or 0) for step in steps]
    level = statistics.median(used)
    floor = max(MIN_BYTES_PER_STEP, MIN_SHARE * level / (len(used) - 1))
    growth = _trend(used)
    if growth.is_clear and growth.slope > floor and _caches_by_shape(record):
        repeated = _repeated(steps, used)
        if repeated is None:
            return verdict(
                "memory_growth",
                record,
                Outcome.SKIPPED,
                f"{growth.words}: oneDNN keeps what it prepared for each shape in 16 bit, and fewer "
                f"than {MIN_REPEATED} steps have a shape seen before; pad_to_multiple_of gives more",
            )
        growth = repeated
    leaks = growth.is_clear and growth.slope > floor
    return verdict(
        "memory_growth",
        record,
        Outcome.FAIL if leaks else Outcome.PASS,
        f"{growth.words} of {level / 2**20:.1f} MiB over {len(used)} steps; a leak has more than "
        f"{floor / 2**10:.1f} KiB",
        diagnosis=("something keeps tensors or the graph of every step",) if leaks else (),
        advice=(
            "look for outputs, losses or batches that are stored without detach() and item()",
            f"1000 more steps would take {1000 * growth.slope / 2**30:.2f} GiB",
        )
        if leaks
        else (),
        bytes_per_step=growth.slope,
        steps=len(used),
        median_bytes=level,
        floor_bytes_per_step=floor,
    )


def _trend(used: Sequence[float]) -> _Growth:
    slope, chance = theil_sen(used), mann_kendall(used)
    words = f"{slope / 2**10:+.1f} KiB a step (p = {chance:.1g})"
    return _Growth(slope, chance < ALPHA, words)


def _repeated(steps: Sequence[Step], used: Sequence[float]) -> _Growth | None:
    """Return the least growth in a step whose shape was seen before: a leak is in all of them."""
    rises = [
        after - before
        for step, before, after in zip(steps[1:], used, used[1:], strict=False)
        if step.new_shape is False
    ]
    if len(rises) < MIN_REPEATED:
        return None
    least = min(rises)
    words = f"{least / 2**10:+.1f} KiB at least in the {len(rises)} steps of a shape seen before"
    return _Growth(least, True, words)


def _caches_by_shape(record: Record) -> bool:
    """Whether a CPU computed in 16 bit: oneDNN keeps its kernels for each shape of a product."""
    seen = record.precision
    names = {*seen.weights, *seen.activations, seen.autocast}
    on_gpu = any(phase.peak_gpu_allocated for phase in record.phases)
    return not on_gpu and bool(names & {"bfloat16", "float16"})
