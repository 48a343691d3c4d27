"""Speed and memory of a record as named figures, each of which can have a baseline."""

import math
import statistics
from collections.abc import Sequence

from harness.record import Evaluation, Record, Step

WARM_UP_STEPS = 3
MIN_STEADY_STEPS = 5


def throughput_figures(record: Record) -> dict[str, float]:
    """Return the rates of a run, per second; a rate that was not measured is left out.

    Steady window: the first three steps or the first tenth, whichever is longer, are dropped (they
    pay for compilation, caches and allocator growth), and so is the first evaluation. Each rate is
    the median over what is left, so that a single hiccup does not count; fewer than five steady
    steps give no rate.
    """
    figures: dict[str, float] = {}
    steady = steady_steps(record.steps)
    if len(steady) >= MIN_STEADY_STEPS:
        figures["steps_per_s"] = statistics.median(1 / step.wall_s for step in steady)
        if all(step.tokens > 0 for step in steady):
            figures["tokens_per_s"] = statistics.median(s.tokens / s.wall_s for s in steady)
    rates = [e.tokens / e.wall_s for e in steady_evaluations(record.evaluations) if e.tokens > 0]
    if rates:
        figures["eval_tokens_per_s"] = statistics.median(rates)
    return {name: rounded(value) for name, value in figures.items()}


def steady_steps(steps: Sequence[Step]) -> list[Step]:
    """Return the steps of the steady window that have a usable duration."""
    dropped = max(WARM_UP_STEPS, len(steps) // 10)
    return [s for s in steps[dropped:] if math.isfinite(s.wall_s) and s.wall_s > 0]


def steady_evaluations(evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    """Return the evaluations after the first one that have a usable duration."""
    return [e for e in evaluations[1:] if math.isfinite(e.wall_s) and e.wall_s > 0]


def memory_figures(record: Record) -> dict[str, float]:
    """Return peak memory in bytes by phase: the GPU's where it was measured, else resident size."""
    kind = (
        "peak_gpu_allocated"
        if any(phase.peak_gpu_allocated for phase in record.phases)
        else "peak_rss"
    )
    peaks = {f"{kind}.{phase.name}": getattr(phase, kind) for phase in record.phases}
    return {name: float(peak) for name, peak in peaks.items() if peak}


def all_figures(record: Record) -> dict[str, float]:
    """Return every figure of a record that a baseline keeps."""
    return {**throughput_figures(record), **memory_figures(record)}


def rounded(value: float) -> float:
    """Round to six significant digits: finer than any run repeats, and readable in a diff."""
    return float(f"{value:.6g}")
