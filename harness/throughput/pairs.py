"""Process pairs of two experiments, until the decision on B's speed against A's is clear.

A pair is two fresh processes that take turns (`harness.throughput.turns`); it gives one number, and the pairs are what
is tested (`harness.throughput.sequential`): the steps of one process share its memory layout and its luck.
"""

import math
import os
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock
from pydantic import ValidationError
from rich.console import Console
from rich.text import Text

from harness.errors import CorruptRecordError, SelectionError, first_problem
from harness.experiment import Experiment, build_inputs
from harness.locations import reports_dir
from harness.processes.paced import Paced
from harness.recipe import digest
from harness.record import emulation_label, write_json_atomically
from harness.throughput.answer import Answer, MeasuredPair, Series, decide_all
from harness.throughput.sequential import Decision, Design
from harness.throughput.turns import FIGURES, Figure, Schedule, take_turns


@dataclass(frozen=True)
class Contest:
    """What is compared with what, and how.

    Attributes:
        a: The side that B is measured against.
        b: The side that may be slower; the same experiment for a calibration.
        slowdown: Share of a step that B's fault takes, if it is one of `fixtures/slowdowns`.
        schedule: What one pair does.
        design: When to stop.
    """

    a: Experiment
    b: Experiment
    slowdown: float = 0.0
    schedule: Schedule = field(default_factory=Schedule)
    design: Design = field(default_factory=Design)

    def __post_init__(self) -> None:
        a, b = self.a.cell, self.b.cell
        different = [
            what
            for what, is_equal in (
                ("recipe", a.recipe.digest == b.recipe.digest),
                ("hardware", a.hardware == b.hardware),
            )
            if not is_equal
        ]
        if different:
            raise SelectionError(
                f"{a.id} and {b.id} differ in their {' and '.join(different)}: the ratio of their "
                "times would be that of two workloads. Choose two cells that share it."
            )

    @property
    def file(self) -> Path:
        """Where its pairs are kept: they are of these experiments and this schedule only."""
        name = digest([self.a.key, self.b.key, self.slowdown, self.schedule.model_dump()])
        return reports_dir() / "throughput" / f"{name}.json"


def compare(contest: Contest, console: Console, *, fresh: bool = False) -> Answer:
    """Measure pairs until the decision is clear or the design's last look is taken.

    Args:
        contest: What to compare.
        console: Shows each pair.
        fresh: Measure even what is kept from an earlier run.

    Raises:
        PacedRunError: A side ended before its orders did.
        StackBuildError: A side's stack cannot be built.
        StorageError: The pairs cannot be written.
        CorruptRecordError: The kept pairs cannot be read.
        KeyboardInterrupt: Finished pairs are kept.
    """
    file = contest.file
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(file.with_suffix(".lock")):
        series = _empty(contest) if fresh or not file.exists() else _read(file)
        return _until_clear(contest, series, console)


def kept_answers(folder: Path) -> list[Answer]:
    """Return what the comparisons that a folder keeps say so far, whatever machine measured them.

    Args:
        folder: With a folder `throughput` at any depth.

    Raises:
        CorruptRecordError: Kept pairs that cannot be read.
    """
    kept = [_read(path) for path in sorted(folder.rglob("throughput/*.json"))]
    return [Answer(one, decide_all(one.pairs, Design())) for one in kept if one.pairs]


def is_decided(contest: Contest) -> bool:
    """Whether the kept pairs give a clear decision, or are as many as the design takes.

    Raises:
        CorruptRecordError: The kept pairs cannot be read.
    """
    if not contest.file.exists():
        return False
    found = _read(contest.file).pairs
    return len(found) >= contest.design.max_pairs or _is_clear(decide_all(found, contest.design))


def _until_clear(contest: Contest, series: Series, console: Console) -> Answer:
    if kept := len(series.pairs):
        console.print(Text(f"  {kept} pairs measured by an earlier run, reused"))
    decisions = decide_all(series.pairs, contest.design)
    while not _is_clear(decisions) and len(series.pairs) < contest.design.max_pairs:
        measured = _measure(contest, console, b_first=len(series.pairs) % 2 == 1)
        series.pairs.append(measured)
        write_json_atomically(contest.file, series.model_dump_json(indent=1) + "\n")
        decisions = decide_all(series.pairs, contest.design)
        line = _describe(len(series.pairs), measured, decisions["step"])
        console.print(Text(f"  {line}"), soft_wrap=True)
    return Answer(series, decisions)


def _is_clear(decisions: dict[Figure, Decision]) -> bool:
    return "step" in decisions and decisions["step"].outcome != "UNDECIDED"


def _measure(contest: Contest, console: Console, *, b_first: bool) -> MeasuredPair:
    def say(message: str) -> None:
        console.print(Text(f"  {message}"))

    started_at = datetime.now(UTC).isoformat(timespec="seconds")
    clock = time.monotonic()
    cores = shared_cores(contest.a)
    sides = [(contest.a, build_inputs(contest.a, say)), (contest.b, build_inputs(contest.b, say))]
    order = sides[::-1] if b_first else sides
    with Paced(*order[0], cores) as one, Paced(*order[1], cores) as other:
        a, b = (other, one) if b_first else (one, other)
        pair = take_turns(a, b, contest.schedule, slowdown=contest.slowdown, b_first=b_first)
        nice = max(a.nice, b.nice)
    return MeasuredPair(
        pair=pair,
        b_first=b_first,
        started_at=started_at,
        seconds=time.monotonic() - clock,
        cores=cores,
        nice=nice,
    )


def shared_cores(experiment: Experiment) -> list[int]:
    """Return the cores of both sides: as many as one may use, since only one of them works at a time.

    Cores differ in what else they do; sides on two of them were 2.4 to 2.8 % apart (rms), on one 1.6 %.
    """
    if experiment.target.on_gpu or not hasattr(os, "sched_getaffinity"):
        return []
    # The last ones: the first takes most interrupts.
    return sorted(os.sched_getaffinity(0))[-experiment.threads :]


def _describe(number: int, measured: MeasuredPair, so_far: Decision) -> str:
    ratios = {figure: measured.pair.log_ratio(figure) for figure in FIGURES}
    told = [
        f"{figure.replace('_', '-')} {math.expm1(ratio):+.1%}"
        for figure, ratio in ratios.items()
        if ratio is not None
    ]
    together = f"; step so far {so_far.ratio - 1:+.1%}" if so_far.pairs > 1 else ""
    return f"pair {number}: B against A: {', '.join(told)} ({measured.seconds:.0f} s){together}"


def _empty(contest: Contest) -> Series:
    target, fault = contest.b.target, contest.b.fault_file
    return Series(
        a=contest.a.cell.id,
        b=contest.b.cell.id,
        fault=fault.stem if fault else None,
        slowdown=contest.slowdown,
        device=target.device,
        emulation=emulation_label(target.kind, target.device_capability, target.device),
    )


def _read(file: Path) -> Series:
    try:
        return Series.model_validate_json(file.read_text(encoding="utf-8"))
    except ValidationError as error:
        raise CorruptRecordError(
            f"{file}: {first_problem(error)}. `--fresh` measures its pairs again."
        ) from error
