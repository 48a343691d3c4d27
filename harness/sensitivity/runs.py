"""Measure process pairs under slowdowns of known size: what `harness sensitivity` draws from."""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock
from rich.console import Console
from rich.text import Text

from harness.experiment import Experiment, build_inputs
from harness.locations import FIXTURES, reports_dir
from harness.matrix import Cell
from harness.plan import Plan
from harness.processes.paced import Paced
from harness.recipe import digest
from harness.sensitivity.pool import Block, Kind, append, read_pool
from harness.sensitivity.rates import KINDS, SIZES
from harness.throughput.pairs import shared_cores
from harness.throughput.turns import Schedule, Turns

_NEVER = 1_000_000
"""Steps: rates are of steps alone, which no evaluation interrupts."""


@dataclass(frozen=True)
class Source:
    """Where pairs come from.

    Attributes:
        experiments: The same cell with each kind of slowdown in reach, which is idle at size 0.
        schedule: What a pair does under each size.
    """

    experiments: Mapping[Kind, Experiment]
    schedule: Schedule

    @classmethod
    def of(cls, plan: Plan, cell: Cell) -> "Source":
        """Prepare a cell with each slowdown of `fixtures/slowdowns`.

        Raises:
            HarnessError: It cannot be resolved here.
        """
        plugins = {kind: FIXTURES / "slowdowns" / f"{kind}.py" for kind in KINDS}
        experiments = {k: plan.once(cell, fault=file).experiment for k, file in plugins.items()}
        return cls(experiments, Schedule(evaluate_every=_NEVER))

    @property
    def file(self) -> Path:
        """Where the pairs are kept: they are of these experiments and this schedule only."""
        keys = [self.experiments[kind].key for kind in KINDS]
        name = digest([*keys, self.schedule.model_dump(), SIZES])
        return reports_dir() / "sensitivity" / f"{name}.jsonl"


def measure_pairs(
    source: Source, wanted: int, console: Console, *, minutes: float | None, fresh: bool
) -> list[Block]:
    """Measure what is missing of the wanted pairs, as far as the time allows, and return the pool.

    Args:
        source: Where pairs come from.
        wanted: How many pairs the pool should have.
        console: Shows each pair.
        minutes: Start no pair that would not be finished within; None for no limit.
        fresh: Measure even what is kept from an earlier call.

    Raises:
        PacedRunError: A side ended before its orders did.
        StackBuildError: The stack cannot be built.
        StorageError, CorruptRecordError: The pool cannot be written or read.
        KeyboardInterrupt: Finished pairs are kept.
    """
    file = source.file
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(file.with_suffix(".lock")):
        if fresh:
            file.unlink(missing_ok=True)
        blocks = read_pool(file)
        done = len({block.pair for block in blocks})
        if done:
            console.print(Text(f"  {done} pairs measured by an earlier call, reused"))
        end = time.monotonic() + 60 * minutes if minutes is not None else float("inf")
        longest = 0.0
        for number in range(done, wanted):
            start = time.monotonic()
            if start + longest > end:
                console.print(Text(f"  time is up: {number} of {wanted} pairs"))
                break
            measured = _pair(source, number, console)
            append(file, measured)
            blocks += measured
            longest = max(longest, time.monotonic() - start)
            said = ", ".join(
                f"{b.size:.0%}: {math.expm1(b.sides.log_ratio):+.1%}" for b in measured
            )
            kind = measured[0].kind
            console.print(
                Text(f"  pair {number + 1} of {wanted}, {kind}: {said} ({longest:.0f} s)")
            )
    return blocks


def _pair(source: Source, number: int, console: Console) -> list[Block]:
    """Measure all sizes with one process pair; who is slowed, and who is first, takes turns."""

    def say(message: str) -> None:
        console.print(Text(f"  {message}"))

    kind = KINDS[number % 3]
    slowed_is_b, b_first = bool(number // 3 % 2), bool(number // 6 % 2)
    experiment = source.experiments[kind]
    python, cores = build_inputs(experiment, say), shared_cores(experiment)
    with Paced(experiment, python, cores) as one, Paced(experiment, python, cores) as other:
        turns = Turns(other, one) if b_first else Turns(one, other)
        turns.warm_up(source.schedule.warm_up, b_first=b_first)
        blocks = []
        for size in _rotated(SIZES, number):
            sizes = (0.0, size) if slowed_is_b else (size, 0.0)
            pair = turns.measure(source.schedule, slowdown_a=sizes[0], slowdown_b=sizes[1])
            plain, slowed = (pair.a, pair.b) if slowed_is_b else (pair.b, pair.a)
            blocks.append(
                Block(
                    pair=number,
                    kind=kind,
                    size=size,
                    slowed="b" if slowed_is_b else "a",
                    plain_s=tuple(plain.step),
                    slowed_s=tuple(slowed.step),
                )
            )
    return sorted(blocks, key=lambda block: block.size)


def _rotated(sizes: Sequence[float], by: int) -> Iterator[float]:
    """Yield the sizes from another one on in each pair: what drifts must not follow them."""
    for position in range(len(sizes)):
        yield sizes[(position + by) % len(sizes)]
