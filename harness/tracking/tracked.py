"""One run of a cell as every tracker wants it: parameters, tags, and metrics over steps."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from harness.cell_result import CellResult
from harness.recipe import digest
from harness.record import Record, Step
from harness.reports.facts import effective_precision, peak_memory, tokens_per_second
from harness.reports.wording import one_line, plain

FOLLOWED = ("unsloth", "unsloth_zoo", "transformers", "trl", "peft", "torch", "bitsandbytes")
"""Packages whose version is a parameter; the record has them all."""
_LONGEST = 500


@dataclass(frozen=True)
class Metric:
    """A figure at an optimizer step; `value` may be NaN or infinite."""

    name: str
    step: int
    value: float


@dataclass(frozen=True)
class Tracked:
    """One record.

    Attributes:
        name: The cell's id.
        identity: Tells this run from every other: exporting it again finds it.
        started: Seconds since the epoch.
        ended: As `started`.
        completed: Whether the run came to its end.
        parameters: What was asked for, and what it ran on.
        tags: What was found.
        metrics: Curves and figures.
    """

    name: str
    identity: str
    started: float
    ended: float
    completed: bool
    parameters: dict[str, str]
    tags: dict[str, str]
    metrics: tuple[Metric, ...]


def track(cells: Sequence[CellResult]) -> list[Tracked]:
    """Return every record of judged cells, repeats after the run that they repeat."""
    return [_tracked(record, cell) for cell in cells for record in (cell.record, *cell.repeats)]


def _tracked(record: Record, cell: CellResult) -> Tracked:
    started = datetime.fromisoformat(record.started_at).timestamp()
    return Tracked(
        record.cell_id,
        digest([record.cell_id, record.key, record.repeat]),
        started,
        started + record.duration_s,
        record.status == "COMPLETED",
        {name: one_line(value, _LONGEST) for name, value in _parameters(record)},
        {name: one_line(value, _LONGEST) for name, value in _tags(record, cell)},
        tuple(_metrics(record)),
    )


def _parameters(record: Record) -> Iterator[tuple[str, str]]:
    yield "stack", record.stack.name
    yield "hardware", record.hardware.name
    yield "dtype", record.dtype_request
    for name, value in record.recipe.items():
        yield f"recipe.{name}", plain(value)
    packages = record.executed.packages if record.executed else {}
    for name in FOLLOWED:
        if name in packages:
            yield f"package.{name}", packages[name]


def _tags(record: Record, cell: CellResult) -> Iterator[tuple[str, str]]:
    yield "outcome", str(cell.outcome)
    yield "hardware_kind", record.hardware.emulation or "native"
    yield "device", record.hardware.device
    yield "effective_precision", effective_precision(record)
    yield "harness_version", record.harness_version
    yield "lock_digest", record.stack.lock_digest
    yield "repeat", str(record.repeat)
    if record.fault:
        yield "fault", record.fault
    for verdict in cell.verdicts:
        yield f"check.{verdict.check}", f"{verdict.outcome}: {verdict.message}"


def _metrics(record: Record) -> Iterator[Metric]:
    of_step: dict[str, Callable[[Step], float | None]] = {
        "train/loss": lambda step: step.loss,
        "train/grad_norm": lambda step: step.grad_norm,
        "train/learning_rate": lambda step: step.learning_rate,
        "train/tokens_per_s": lambda step: step.tokens / step.wall_s if step.wall_s > 0 else None,
    }
    for name, figure in of_step.items():
        found = ((step.step, figure(step)) for step in record.steps)
        yield from (Metric(name, step, value) for step, value in found if value is not None)
    for one in record.evaluations:
        figures = {"eval/loss": one.eval_loss, "eval/token_accuracy": one.token_accuracy}
        for name, value in {**figures, "eval/epoch": one.epoch}.items():
            if value is not None:
                yield Metric(name, one.step, value)
    last = max((step.step for step in record.steps), default=0)
    speed, memory = tokens_per_second(record), peak_memory(record)
    if speed is not None:
        yield Metric("tokens_per_s", last, speed)
    if memory is not None:
        yield Metric(f"peak_memory_bytes/{memory[1].lower()}", last, memory[0])


def infinite(metrics: Sequence[Metric]) -> dict[str, str]:
    """Say at which steps a metric is infinite, for a tracker that cannot hold it."""
    found: dict[str, list[int]] = {}
    for metric in metrics:
        if math.isinf(metric.value):
            found.setdefault(metric.name, []).append(metric.step)
    return {
        name: f"infinite at steps {', '.join(map(str, steps))}" for name, steps in found.items()
    }
