"""From a user's options to the runs that answer them."""

import os
import shlex
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from rich.console import Console

from harness import __version__, abandoned, reports
from harness.cell_options import CellOptions
from harness.dispatch.cluster.dispatch import ClusterDispatcher
from harness.dispatch.cluster.nodes import Cluster, machine_of
from harness.dispatch.cluster.ray_cluster import RayCluster
from harness.dispatch.dispatcher import Dispatcher, Result, Run
from harness.dispatch.local import LocalDispatcher
from harness.errors import SelectionError
from harness.experiment import Experiment, Extra, prepare
from harness.gate import CellResult, GateResult, judge_cells
from harness.hardware import Machine, detect
from harness.locations import new_run_dir, reports_dir
from harness.matrix import DEFAULT_MATRIX, Cell, Matrix, Overrides, load_matrix, stack_of
from harness.processes.preloaded import PreloadedPool
from harness.progress import Progress
from harness.reports import benchmark
from harness.runners import select
from harness.store import RecordStore


class Where(StrEnum):
    """What `--dispatch` takes."""

    LOCAL = "local"
    RAY = "ray"


@dataclass(frozen=True)
class Options:
    """What the command line and the pytest plugin have in common."""

    matrix: Path = DEFAULT_MATRIX
    overrides: Overrides = field(default_factory=Overrides)
    jobs: int | None = None
    """Cells at once, at most, on each machine; None: one for each core that the threads of one cell leave."""
    fresh: bool = False
    timeout_s: float | None = None
    fault: Path | None = None
    preloaded: bool = False
    """Whether cells are forked from processes that have imported their stack, where that is safe."""
    where: Where = Where.LOCAL
    ray_address: str | None = None
    """Of a running cluster; None: RAY_ADDRESS, else the cluster of this machine."""
    per_gpu: int = 1
    """Cells that share a GPU of this machine; what more than one of them say of speed is none of the card's."""

    @property
    def cell_options(self) -> CellOptions:
        """What of these a cell's id leaves open."""
        over = self.overrides
        shipped = self.matrix.resolve() == DEFAULT_MATRIX.resolve()
        return CellOptions(
            matrix=None if shipped else str(self.matrix),
            model=over.model,
            data=over.data,
            scale=over.scale,
            fault=str(self.fault) if self.fault else None,
        )


class Plan:
    """A matrix on this machine, or on a cluster.

    Raises:
        MissingExtraError, HardwareError: The cluster cannot be reached.
        ConfigError, SelectionError, UnknownStackError: The matrix or an option names what is not there.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self._cluster: Cluster | None = None
        if options.where is Where.RAY:
            self._cluster = RayCluster(options.ray_address)
        self.machine: Machine = machine_of(self._cluster) if self._cluster else detect()
        gpus = [gpu.slug for gpu in self.machine.gpus]
        self.matrix: Matrix = load_matrix(options.matrix, gpus, options.overrides)
        self._pool = PreloadedPool(_say) if options.preloaded else None
        self.jobs = options.jobs or max(1, self.machine.cores // self.matrix.threads)

    @property
    def cells(self) -> list[Cell]:
        """The matrix's cells on this machine.

        Raises:
            SelectionError: There are none: all of them are for a GPU, and there is none.
        """
        if not self.matrix.cells:
            raise SelectionError(
                f"{self.options.matrix} has no cells on {self.machine.where}: all of them are for a CUDA GPU, and "
                "there is none. Run it where there is one, or take another --matrix."
            )
        return self.matrix.cells

    def select(self, patterns: Sequence[str]) -> list[Cell]:
        """Return the cells that shell patterns of HARDWARE/DTYPE/RECIPE name; all of them without a pattern."""
        if not patterns:
            return self.cells
        return select(self.matrix, self.matrix.cells, patterns)

    def runs(
        self,
        cells: Iterable[Cell],
        *,
        fault: Path | None = None,
        timeout_s: float | None = None,
    ) -> list[Run]:
        """Return every run of the cells, first runs before repeats.

        Args:
            cells: What to run.
            fault: In place of the options' fault.
            timeout_s: In place of the options' limit.
        """
        runs = [
            Run(self._prepare(cell, frozenset(), fault, timeout_s), repeat)
            for cell in cells
            for repeat in range(self.matrix.repeats(cell))
        ]
        # Every cell has a record before any cell is measured again.
        return sorted(runs, key=lambda run: run.repeat)

    def once(
        self, cell: Cell, extras: AbstractSet[Extra] = frozenset(), fault: Path | None = None
    ) -> Run:
        """Return one run of a cell, whatever the matrix repeats."""
        return Run(self._prepare(cell, extras, fault))

    def _prepare(
        self,
        cell: Cell,
        extras: AbstractSet[Extra],
        fault: Path | None = None,
        timeout_s: float | None = None,
    ) -> Experiment:
        return prepare(
            cell,
            self.matrix,
            self.machine,
            parallel_cells=self.jobs,
            fault=fault or self.options.fault,
            timeout_s=timeout_s or self.options.timeout_s,
            extras=extras,
            preloaded=self.options.preloaded,
        )

    def placed(self, judged: Iterable[CellResult]) -> list[CellResult]:
        """Say of each cell where its stack stands, where the releases are compared in a given order."""
        if not self.matrix.in_given_order:
            return list(judged)
        places = {stack_of(release): at for at, release in enumerate(self.matrix.releases)}
        return [
            cell.model_copy(update={"place": places.get(cell.record.stack.name)}) for cell in judged
        ]

    def close(self) -> None:
        """End the processes that wait for another cell, and leave the cluster."""
        if self._pool is not None:
            self._pool.close()
        if self._cluster is not None:
            self._cluster.close()

    def execute(
        self, runs: Sequence[Run], console: Console, folder: str = "records"
    ) -> list[Result]:
        """Run what is not finished and return all results, in the order of `runs`.

        Args:
            runs: What is wanted.
            console: Shows progress.
            folder: Where records are kept, below the reports folder.
        """
        abandoned.remove_folders()
        abandoned.remove_files((reports_dir() / "runs").glob("*"))
        store = RecordStore(reports_dir() / folder)
        with Progress(console, len(runs)) as progress:
            dispatcher = self._dispatcher(store, progress)
            results = {_of(r.run): r for r in dispatcher.run(runs)}
        return [results[_of(run)] for run in runs]

    def _dispatcher(self, store: RecordStore, progress: Progress) -> Dispatcher:
        threads, fresh = self.matrix.threads, self.options.fresh
        if self._cluster is not None:
            jobs = self.options.jobs
            return ClusterDispatcher(
                self._cluster, store, self.machine, progress, threads, jobs, fresh
            )
        return LocalDispatcher(
            store,
            self.machine,
            progress,
            self.jobs,
            threads,
            fresh,
            pool=self._pool,
            per_gpu=self.options.per_gpu,
        )


def _say(message: str) -> None:
    Console(stderr=True).print(message, markup=False, soft_wrap=True)


def _of(run: Run) -> tuple[str, int]:
    return run.experiment.key, run.repeat


JudgeMore = Callable[[Plan, list[CellResult], Console], list[CellResult]]
"""Adds verdicts to judged cells."""


def run_gate(
    plan: Plan, cells: Iterable[Cell], console: Console, judge_more: JudgeMore | None = None
) -> tuple[GateResult, Path]:
    """Run the cells that are not finished, judge all, write the report; return it and its folder.

    Args:
        plan: Where the cells are from.
        cells: What to run.
        console: Shows progress.
        judge_more: What only several cells together tell.

    Raises:
        HarnessError: A cell that cannot be resolved here, or a report that cannot be written.
    """
    started, clock = datetime.now(UTC), time.monotonic()
    # Before the cells run: a checkout can change in the meantime.
    commit_info = benchmark.commit_info()
    done = plan.execute(plan.runs(cells), console)
    results = ((r.record, r.reused) for r in done)
    judged = plan.placed(judge_cells(results, plan.options.cell_options))
    if judge_more is not None:
        judged = judge_more(plan, judged, console)
    result = GateResult(
        command=command_line(),
        started_at=started.isoformat(timespec="seconds"),
        duration_s=time.monotonic() - clock,
        harness_version=__version__,
        cells=judged,
        machine_info=benchmark.machine_info(),
        commit_info=commit_info,
    )
    folder = new_run_dir(started=started)
    reports.write(result, folder)
    return result, folder


def command_line() -> str:
    """Return the command that is running, as a user would type it."""
    given = os.environ.get("HARNESS_COMMAND")
    program = Path(sys.argv[0])
    # `python -m NAME` puts the path of NAME/__main__.py here.
    name = program.parent.name if program.name == "__main__.py" else program.name
    return given or shlex.join([name, *sys.argv[1:]])
