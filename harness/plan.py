"""From a user's options to the runs that answer them."""

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from harness.dispatch.local import LocalDispatcher, Result, Run
from harness.experiment import prepare
from harness.hardware import Machine, detect
from harness.locations import reports_dir
from harness.matrix import DEFAULT_MATRIX, Cell, Matrix, Overrides, load_matrix
from harness.progress import Progress
from harness.store import RecordStore


@dataclass(frozen=True)
class Options:
    """What the command line and the pytest plugin have in common."""

    matrix: Path = DEFAULT_MATRIX
    overrides: Overrides = Overrides()
    jobs: int | None = None
    """Cells at once; None: one for each core that the threads of one cell leave."""
    fresh: bool = False
    timeout_s: float | None = None
    fault: Path | None = None


class Plan:
    """A matrix on this machine.

    Raises:
        ConfigError, SelectionError, UnknownStackError: The matrix or an option names what is not there.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self.machine: Machine = detect()
        gpus = [gpu.slug for gpu in self.machine.gpus]
        self.matrix: Matrix = load_matrix(options.matrix, gpus, options.overrides)
        self.jobs = options.jobs or max(1, self.machine.cores // self.matrix.threads)

    def runs(self, cells: Iterable[Cell]) -> list[Run]:
        """Return every run of the cells, repeats included, the longest of them first."""
        runs = [
            Run(
                prepare(
                    cell,
                    self.matrix,
                    self.machine,
                    parallel_cells=self.jobs,
                    fault=self.options.fault,
                    timeout_s=self.options.timeout_s,
                ),
                repeat,
            )
            for cell in cells
            for repeat in range(self.matrix.repeats(cell))
        ]
        # Cells that repeat come last in turn, so that two runs of one never share the machine.
        return sorted(runs, key=lambda run: run.repeat)

    def execute(self, runs: Sequence[Run], console: Console) -> list[Result]:
        """Run what is not finished and return all results, in the order of `runs`."""
        store = RecordStore(reports_dir() / "records")
        with Progress(console, len(runs)) as progress:
            dispatcher = LocalDispatcher(
                store, self.machine, progress, jobs=self.jobs, fresh=self.options.fresh
            )
            results = {(r.run.label): r for r in dispatcher.run(runs)}
        return [results[run.label] for run in runs]


def command_line() -> str:
    """Return the command that is running, as a user would type it."""
    import shlex
    import sys

    name = os.environ.get("HARNESS_COMMAND") or f"harness {shlex.join(sys.argv[1:])}"
    return name.strip()
