"""What a tracker shows of a record: names, parameters, curves and tags, whichever the tracker is."""

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from harness.errors import InputError
from harness.figures import all_figures
from harness.gate import CellResult, GateResult
from harness.recipe import digest
from harness.record import Record
from harness.reports.facts import effective_precision, labelled


@dataclass(frozen=True)
class Point:
    """One value of a curve.

    Attributes:
        step: Optimizer step.
        elapsed_s: Seconds that the steps until then took; evaluations between them do not count.
    """

    step: int
    value: float
    elapsed_s: float


@dataclass(frozen=True)
class TrackedRun:
    """One cell and repeat.

    Attributes:
        id: Digest of cell, key, repeat and start: two runs with one id are one measurement.
        name: The cell's id, saying so where its hardware was emulated.
        started: Its start, with a time zone.
        params: What was asked for, and of which packages; text by name.
        metrics: Curves by name, and figures of the whole run as curves of one point at step 0.
        tags: What was said of it; text by name.
    """

    id: str
    name: str
    started: datetime
    duration_s: float
    completed: bool
    params: Mapping[str, str]
    metrics: Mapping[str, tuple[Point, ...]]
    tags: Mapping[str, str]


def tracked_runs(result: GateResult) -> list[TrackedRun]:
    """Return a run for each cell and repeat of a result, in its order.

    Raises:
        InputError: It has no cell.
    """
    if not result.cells:
        raise InputError("the result has no cell, so there is nothing to export.")
    return [
        _tracked(cell, record) for cell in result.cells for record in (cell.record, *cell.repeats)
    ]


def result_id(result: GateResult) -> str:
    """Return a digest of what was measured in a run of the gate, whatever was said of it."""
    return digest(sorted(run.id for run in tracked_runs(result)))


def non_finite(points: Iterable[Point]) -> str:
    """Say where a curve is not finite: `nan at steps 3, 4; inf at step 7`; empty where it is."""
    steps: dict[str, list[int]] = {}
    for point in points:
        if not math.isfinite(point.value):
            steps.setdefault(str(point.value), []).append(point.step)
    return "; ".join(
        f"{value} at step{'s' if len(at) > 1 else ''} {', '.join(map(str, at))}"
        for value, at in steps.items()
    )


def _tracked(cell: CellResult, record: Record) -> TrackedRun:
    return TrackedRun(
        id=digest([record.cell_id, record.key, record.repeat, record.started_at]),
        name=labelled(record.cell_id, record),
        started=datetime.fromisoformat(record.started_at),
        duration_s=record.duration_s,
        completed=record.status == "COMPLETED",
        params={_name(name): text for name, text in _params(record)},
        metrics={_name(name): points for name, points in _metrics(record).items() if points},
        tags=_tags(cell, record),
    )


def _params(record: Record) -> Iterator[tuple[str, str]]:
    yield "stack", record.stack.name
    yield "release", record.stack.release
    yield "lock_digest", record.stack.lock_digest
    yield "python", record.stack.python
    yield "hardware", record.hardware.name
    yield "device", record.hardware.device
    yield "threads", str(record.hardware.threads)
    yield "parallel_cells", str(record.hardware.parallel_cells)
    yield "dtype", record.dtype_request
    yield "recipe_digest", record.recipe_digest
    yield from _flat("recipe", record.recipe)
    for package, version in (record.executed.packages if record.executed else {}).items():
        yield f"package.{package}", version


def _flat(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(f"{name}.{key}", inner)
    else:
        yield name, value if isinstance(value, str) else json.dumps(value)


def _metrics(record: Record) -> dict[str, tuple[Point, ...]]:
    elapsed, spent = {0: 0.0}, 0.0
    for step in record.steps:
        spent += step.wall_s if math.isfinite(step.wall_s) else 0.0
        elapsed[step.step] = spent

    def curve(values: Iterable[tuple[int, float | None]]) -> tuple[Point, ...]:
        return tuple(
            Point(at, value, elapsed.get(at, spent)) for at, value in values if value is not None
        )

    steps, evaluations = record.steps, record.evaluations
    return {
        "train/loss": curve((s.step, s.loss) for s in steps),
        "train/grad_norm": curve((s.step, s.grad_norm) for s in steps),
        "train/learning_rate": curve((s.step, s.learning_rate) for s in steps),
        "train/tokens_per_s": curve((s.step, _rate(s.tokens, s.wall_s)) for s in steps),
        "eval/loss": curve((e.step, e.eval_loss) for e in evaluations),
        "eval/token_accuracy": curve((e.step, e.token_accuracy) for e in evaluations),
        "eval/epoch": curve((e.step, e.epoch) for e in evaluations),
        **{
            f"figure/{name}": (Point(0, value, 0.0),) for name, value in all_figures(record).items()
        },
    }


def _rate(amount: int, seconds: float) -> float | None:
    return amount / seconds if math.isfinite(seconds) and seconds > 0 else None


def _tags(cell: CellResult, record: Record) -> dict[str, str]:
    tags = {
        "cell_id": record.cell_id,
        "verdict": cell.outcome,
        "status": record.status,
        "emulated": record.hardware.emulation or "no",
        "harness_version": record.harness_version,
        "record_key": record.key,
        "repeat": str(record.repeat),
        "measured_at": record.started_at,
        "fault": record.fault or "",
        "extras": ", ".join(record.extras),
        "rerun": cell.rerun,
        "effective_precision": effective_precision(record),
        **{f"check.{v.check}": f"{v.outcome}: {v.message}" for v in cell.verdicts},
    }
    if record.failure:
        tags["failure"] = f"{record.failure.phase}: {record.failure.kind}: {record.failure.message}"
    return {name: str(text) for name, text in tags.items() if text}


def _name(text: str) -> str:
    """Make a name that each tracker takes: letters, digits, `_`, `-`, `.` and one `/`."""
    safe = "/".join(re.sub(r"[^A-Za-z0-9_.-]", "_", part) for part in text.split("/", 1))
    return safe if len(safe) <= 200 else f"{safe[:180]}-{digest(text)}"
