"""What a run is expected to take, from the records that are kept: seconds, and bytes of RAM."""

import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic_core import from_json

from harness.cpu_info import Cpu
from harness.dispatch.dispatcher import Run
from harness.dispatch.place import Need
from harness.experiment import Experiment
from harness.stacks import environments
from harness.stacks.stack import Stack

DEFAULT_S = 60.0
DEFAULT_MEMORY = 2 << 30
"""Bytes: a stack's imports and a tiny model peak below 1 GiB."""
_OVER_PEAK = 1.5
_STEP = 256 << 20


@dataclass(frozen=True)
class Earlier:
    """What of a kept record tells about the next run."""

    duration_s: float
    peak_bytes: int | None


def cpu_name(cpu: Cpu) -> str:
    """Return what tells CPUs apart whose records cannot be compared."""
    return f"{cpu.model}, {'with' if cpu.bf16 else 'without'} bfloat16"


def needs(
    runs: Sequence[Run],
    folder: Path,
    cpu: str,
    share: int,
    is_built: Callable[[Stack], bool] = environments.is_built,
) -> list[Need]:
    """Return what each run needs.

    A run takes as long as the cell's newest record says; without one, as long as the same cell of
    another stack did; else as long as the median of the others.

    Args:
        runs: What is to run.
        folder: Kept records, one folder for each cell.
        cpu: Name of the CPU that computes where no GPU does.
        share: Bytes of RAM that each run may have in any case.
        is_built: Whether a stack is where runs go.
    """
    folders = sorted(p for p in folder.iterdir() if p.is_dir()) if folder.is_dir() else []
    by_name = {p.name: p for p in folders}
    by_rest: dict[str, Path] = {p.name.partition("__")[2]: p for p in folders}
    found: dict[str, tuple[Earlier | None, bool]] = {}
    for run in runs:
        slug = run.experiment.cell.slug
        if slug not in found:
            own, rest = by_name.get(slug), slug.partition("__")[2]
            earlier = _newest(own) if own else None
            is_own = earlier is not None
            if earlier is None and rest in by_rest:
                earlier = _newest(by_rest[rest])
            found[slug] = (earlier, is_own)
    known = [earlier.duration_s for earlier, _ in found.values() if earlier]
    usual = statistics.median(known) if known else DEFAULT_S
    return [
        _need(
            run, *found[run.experiment.cell.slug], usual, cpu, share, is_built(run.experiment.stack)
        )
        for run in runs
    ]


def _need(
    run: Run,
    earlier: Earlier | None,
    is_own: bool,
    usual_s: float,
    cpu: str,
    share: int,
    is_built: bool,
) -> Need:
    experiment = run.experiment
    memory = _without_a_record(experiment)
    if earlier and is_own and earlier.peak_bytes and not experiment.extras:
        # In whole steps, so that like runs are alike.
        memory = math.ceil(earlier.peak_bytes * _OVER_PEAK / _STEP) * _STEP
    target, stack = experiment.target, experiment.stack
    return Need(
        device=target.device if target.on_gpu else cpu,
        cores=experiment.threads,
        memory_bytes=max(share, memory),
        expected_s=earlier.duration_s if earlier else usual_s,
        repeat=run.repeat,
        build="" if is_built else f"{stack.name} ({stack.where})",
        on_gpu=target.on_gpu,
    )


def _without_a_record(experiment: Experiment) -> int:
    # 16-bit weights become a float32 copy in the worst case; a fixture's are a rounding error.
    weights = sum(p.stat().st_size for p in experiment.model_dir.glob("*.safetensors"))
    return DEFAULT_MEMORY + 2 * weights // _STEP * _STEP


def _newest(folder: Path) -> Earlier | None:
    paths = sorted(folder.glob("*.json"), key=lambda p: p.stat().st_mtime, reverse=True)
    return next(_readable(paths), None)


def _readable(paths: Sequence[Path]) -> Iterator[Earlier]:
    # Not validated: a guess needs two fields of a record, and 1,000 cells need 1,000 guesses.
    for path in paths:
        try:
            record: Any = from_json(path.read_bytes())
            if record["status"] != "COMPLETED":
                continue
            peaks = [phase.get("peak_rss") for phase in record.get("phases", [])]
            peak = max((p for p in peaks if isinstance(p, int)), default=None)
            yield Earlier(float(record["duration_s"]), peak)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            continue
