"""Speed and memory of a record as named figures, each of which can have a baseline."""

import math
import statistics
from collections.abc import Sequence
from typing import Literal

from harness.activation_memory import memory_slope
from harness.record import Evaluation, Record, Step

WARM_UP_STEPS = 3
MIN_STEADY_STEPS = 5

THROUGHPUT = ("steps_per_s", "tokens_per_s", "samples_per_s", "eval_tokens_per_s", "eval_s")
START_UP = ("time_to_first_step_s", "import_s", "load_s", "data_s", "first_step_s")
OVER_REFERENCE = "_over_reference"
"""Ends the name of a ratio to the reference stack's same figure: `steps_per_s_over_reference`."""

FAMILIES = ("throughput", "start_up", "memory")
"""Checks that judge figures by a baseline; every figure is of one of them."""


def throughput_figures(record: Record) -> dict[str, float]:
    """Return the rates of a run, per second, and `eval_s`; what was not measured is left out.

    Steady window: the first three steps or the first tenth, whichever is longer, are dropped (they
    pay for compilation, caches and allocator growth), and so is the first evaluation. Each rate is
    the median over what is left, so that a single hiccup does not count; fewer than five steady
    steps give no rate. `eval_s` is the median wall time of an evaluation.
    """
    figures: dict[str, float] = {}
    steady = steady_steps(record.steps)
    if len(steady) >= MIN_STEADY_STEPS:
        figures["steps_per_s"] = statistics.median(1 / step.wall_s for step in steady)
        if all(step.tokens > 0 for step in steady):
            figures["tokens_per_s"] = statistics.median(s.tokens / s.wall_s for s in steady)
        if (train := record.rows.get("train")) is not None and train.rows > 0:
            rows_per_step = train.rows / len(record.steps)
            figures["samples_per_s"] = figures["steps_per_s"] * rows_per_step
    evaluations = steady_evaluations(record.evaluations)
    rates = [e.tokens / e.wall_s for e in evaluations if e.tokens > 0]
    if rates:
        figures["eval_tokens_per_s"] = statistics.median(rates)
    if evaluations:
        figures["eval_s"] = statistics.median(e.wall_s for e in evaluations)
    return {name: rounded(value) for name, value in figures.items()}


def start_up_figures(record: Record) -> dict[str, float]:
    """Return the seconds until the first optimizer step is done, by part, and their sum.

    `import_s`, `load_s` and `data_s` are the phases' wall time; `data` holds patching and the
    construction of the trainer. `first_step_s` is the first step's wall time: where a library
    compiles, it does so there. The first evaluation is none of them. `time_to_first_step_s` is the
    sum, left out where a part is missing: a preloaded run has no import.
    """
    walls = {phase.name: phase.wall_s for phase in reversed(record.phases)}
    figures = {f"{name}_s": walls[name] for name in ("import", "load", "data") if name in walls}
    if record.steps:
        figures["first_step_s"] = record.steps[0].wall_s
    figures = {name: s for name, s in figures.items() if math.isfinite(s) and s > 0}
    if len(figures) == len(START_UP) - 1 and not record.preloaded:
        figures["time_to_first_step_s"] = math.fsum(figures.values())
    return {name: rounded(value) for name, value in figures.items()}


def steady_steps(steps: Sequence[Step]) -> list[Step]:
    """Return the steps of the steady window that have a usable duration."""
    dropped = max(WARM_UP_STEPS, len(steps) // 10)
    return [s for s in steps[dropped:] if math.isfinite(s.wall_s) and s.wall_s > 0]


def steady_evaluations(evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    """Return the evaluations after the first one that have a usable duration."""
    return [e for e in evaluations[1:] if math.isfinite(e.wall_s) and e.wall_s > 0]


def memory_figures(record: Record) -> dict[str, float]:
    """Return peaks in bytes by phase, the GPU's where it was measured, else resident size, and a token's.

    On a GPU both: `peak_gpu_allocated` is what tensors took, `peak_gpu_reserved` what the allocator
    held for them, which is what another process cannot have. `bytes_per_token` is what one more token
    of a row takes: of a GPU's peak over forward and backward where it was measured, else of what
    autograd keeps (`harness.activation_memory`).
    """
    on_gpu = any(phase.peak_gpu_allocated for phase in record.phases)
    kinds = ("peak_gpu_allocated", "peak_gpu_reserved") if on_gpu else ("peak_rss",)
    peaks = {f"{k}.{phase.name}": getattr(phase, k) for k in kinds for phase in record.phases}
    figures = {name: float(peak) for name, peak in peaks.items() if peak}
    slope = memory_slope(record.probe.activation_memory if record.probe else None)
    if slope is not None and (slope.peak_per_token or slope.with_loss):
        figures["bytes_per_token"] = rounded(slope.peak_per_token or slope.bytes_per_token)
    return figures


def all_figures(record: Record) -> dict[str, float]:
    """Return every figure of a record that a baseline keeps."""
    return {**throughput_figures(record), **start_up_figures(record), **memory_figures(record)}


def family(name: str) -> str:
    """Return the check that judges a figure: `throughput`, `start_up` or `memory`."""
    name = name.removesuffix(OVER_REFERENCE)
    if name in THROUGHPUT:
        return "throughput"
    return "start_up" if name in START_UP else "memory"


def worse(name: str) -> Literal["lower", "higher"]:
    """Return the side on which a figure is a regression: a rate may not fall, all else not rise."""
    return "lower" if name.removesuffix(OVER_REFERENCE).endswith("_per_s") else "higher"


def rounded(value: float) -> float:
    """Round to six significant digits: finer than any run repeats, and readable in a diff."""
    return float(f"{value:.6g}")
