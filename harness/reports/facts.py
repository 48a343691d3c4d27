"""Figures that several reports derive from one record."""

import math
from collections.abc import Iterable, Sequence

from harness.figures import memory_figures, throughput_figures
from harness.gate import CellResult
from harness.record import Record, with_emulation
from harness.reports.wording import NOT_MEASURED, loss, short, short_dtype
from harness.verdict import Outcome, Verdict

_KEPT_IN = "no network, no file but its own and its inputs, no other process"
_SEVERITY = (Outcome.CRASHED, Outcome.OOM, Outcome.FAIL, Outcome.INFRA, Outcome.TIMEOUT)


def severity(cell: CellResult) -> int:
    """Return a sort key: red, then unanswered runs, then other non-answers, then PASS."""
    outcome = cell.outcome
    if outcome in _SEVERITY:
        return _SEVERITY.index(outcome)
    return len(_SEVERITY) + (outcome is Outcome.PASS)


def worst_first(cells: Iterable[CellResult]) -> list[CellResult]:
    """Sort cells by severity, keeping the order of equals."""
    return sorted(cells, key=severity)


def red_verdicts(cell: CellResult) -> list[Verdict]:
    """Return the verdicts of a cell that block an upgrade."""
    return [verdict for verdict in cell.verdicts if verdict.outcome.is_red]


def is_emulated(record: Record) -> bool:
    """Whether the hardware that the library was shown is not the one that computed."""
    return record.hardware.kind == "emulated"


def labelled(name: str, record: Record) -> str:
    """Return a cell id or hardware name that says `emulated`, and over what, when the hardware was."""
    return with_emulation(name, short(record.hardware.emulation, 80))


def containment(record: Record) -> str:
    """Say what kept a run in, and what it could reach all the same."""
    kept = record.containment
    if kept is None:
        return "not recorded"
    open_ = reachable(record)
    return f"{kept.kind}: it could reach {open_}" if open_ else f"{kept.kind}: {_KEPT_IN}"


def reachable(record: Record) -> str:
    """Return what of its machine a run could reach; empty for nothing, or where it is not recorded."""
    words = {"network": "the network", "files": "files", "processes": "other processes"}
    reached = record.containment.reaches if record.containment else ()
    return ", ".join(words[name] for name in reached)


def tokens_per_second(record: Record) -> float | None:
    """Return the median tokens per second of the steady window, as the throughput check has it."""
    return throughput_figures(record).get("tokens_per_s")


def peak_figure(record: Record) -> str | None:
    """Return the name of the figure that is the fine-tune's highest memory: `peak_rss.train`.

    What a GPU's allocator holds in reserve and what the evidence takes for itself (`probe`) are none of it.
    """
    peaks = {
        name: peak
        for name, peak in memory_figures(record).items()
        if name.startswith(("peak_gpu_allocated.", "peak_rss.")) and not name.endswith(".probe")
    }
    return max(peaks, key=lambda name: peaks[name], default=None)


def peak_memory(record: Record) -> tuple[int, str] | None:
    """Return the highest memory of the fine-tune in bytes, and what it is of: `GPU` or `RSS`."""
    name = peak_figure(record)
    if name is None:
        return None
    return int(memory_figures(record)[name]), memory_kind(name)


def memory_kind(name: str) -> str:
    """Return what a figure of memory is of: `GPU` or `RSS`."""
    return "GPU" if name.startswith("peak_gpu") else "RSS"


def loss_span(record: Record) -> tuple[float, float] | None:
    """Return the first and the last eval_loss, a missing one as NaN; None without evaluations."""
    losses = record.eval_losses
    return (losses[0], losses[-1]) if losses else None


def loss_words(record: Record) -> str:
    """Write the first and the last eval_loss as `4.0847 → 3.4939`."""
    span = loss_span(record)
    return f"{loss(span[0])} → {loss(span[1])}" if span else NOT_MEASURED


def effective_precision(record: Record) -> str:
    """Write the dtypes that ran in one phrase: `fp16 + fp32, autocast off`.

    Frozen weights come first, most tensors first, then the autocast dtype of the training forward.
    """
    weights = record.precision.weights
    ranked = sorted(weights, key=lambda name: (-weights[name], name))
    parts = [" + ".join(short_dtype(name) for name in ranked)] if ranked else []
    if record.precision.autocast is not None:
        parts.append(f"autocast {short_dtype(record.precision.autocast)}")
    return ", ".join(parts) or NOT_MEASURED


def departures(record: Record) -> dict[str, str]:
    """Return what ran in another dtype than a plainly requested one: part -> sentence.

    Only `float32`, `float16` and `bfloat16` are plain requests; `auto` and quantised ones leave the
    choice to the library. Whether a departure is wrong is for the precision check to say.
    """
    request, precision = record.dtype_request, record.precision
    if request not in ("float32", "float16", "bfloat16"):
        return {}
    found = {}
    if precision.weights:
        most = max(precision.weights, key=lambda name: precision.weights[name])
        if most != request:
            found["weights"] = f"{request} was requested"
    if precision.autocast not in (None, "off", request):
        found["autocast"] = f"{request} was requested"
    return found


def largest_activation(record: Record) -> tuple[str, float] | None:
    """Return the decoder layer with the largest |residual stream|, and that value.

    A non-finite value counts as larger than any number, as it is one that overflowed.
    """
    known = {k: v for k, v in record.precision.max_abs_activation.items() if v is not None}
    if not known:
        return None
    layer = max(known, key=lambda name: (not math.isfinite(known[name]), known[name]))
    return layer, known[layer]


def not_finite(values: Sequence[float | None]) -> int:
    """Count the values that are NaN or infinite; None is unknown, not non-finite."""
    return sum(value is not None and not math.isfinite(value) for value in values)
