"""A part of a window in pieces, each of which is finished or not: what a window is cut into."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console

from harness.baselines.update import RECORDS
from harness.conditions import disturbances
from harness.dispatch.dispatcher import Run
from harness.locations import reports_dir
from harness.matrix import Cell
from harness.plan import Plan
from harness.store import RecordStore
from harness.throughput import pairs
from harness.throughput.pairs import Contest
from harness.window.parts import Part


@dataclass(frozen=True)
class Piece:
    """What is measured in one go.

    Attributes:
        labels: Of what it measures: ids of cells.
        is_settled: Whether it need not be measured, or not again.
        measure: Does it.
    """

    labels: tuple[str, ...]
    is_settled: Callable[[], bool]
    measure: Callable[[Console], None]


def pieces(part: Part, plan: Plan, cells: Sequence[Cell]) -> Iterator[Piece]:
    """Yield the pieces of a part, in the order in which they are measured.

    Args:
        part: The part.
        plan: Of its matrix on this machine, running whatever it is given.
        cells: The part's.
    """
    if part.do == "pairs":
        experiments = [plan.once(cell).experiment for cell in cells]
        for first, second in zip(experiments[::2], experiments[1::2], strict=True):
            yield _compared(Contest(first, second))
    else:
        yield from _in_turns(part, plan, cells)


def _in_turns(part: Part, plan: Plan, cells: Sequence[Cell]) -> Iterator[Piece]:
    times = part.times if part.do == "repeats" else 1
    # Cells take turns, so that a machine that drifts shows in the repeats of each.
    runs = [Run(plan.once(cell).experiment, n) for n in range(times) for cell in cells]
    folder = RECORDS if part.do == "repeats" else "records"
    store = RecordStore(reports_dir() / folder)
    # What is settled takes no place beside what is not.
    runs.sort(key=lambda run: is_settled(run, store))
    for start in range(0, len(runs), part.jobs):
        yield _executed(plan, runs[start : start + part.jobs], store, folder)


def is_settled(run: Run, store: RecordStore) -> bool:
    """Whether a run has its record: completed, crashed by itself or out of memory, undisturbed for a baseline.

    A crash is an answer of that release on that card; the time for another try is another cell's.
    """
    record = store.finished(run.experiment, run.repeat, or_crashed=True)
    if record is None:
        return False
    return store.folder.name != RECORDS or not disturbances(record)


def _executed(plan: Plan, runs: Sequence[Run], store: RecordStore, folder: str) -> Piece:
    def measure(console: Console) -> None:
        plan.execute([run for run in runs if not is_settled(run, store)], console, folder)
        for run in runs:
            record = store.finished(run.experiment, run.repeat)
            if record is not None and not is_settled(run, store):
                said = f"  {run.label} was disturbed ({disturbances(record)[0]}) and does not count"
                console.print(said, soft_wrap=True, markup=False)

    return Piece(
        tuple(run.label for run in runs),
        lambda: all(is_settled(run, store) for run in runs),
        measure,
    )


def _compared(contest: Contest) -> Piece:
    def measure(console: Console) -> None:
        pairs.compare(contest, console)

    return Piece(
        (f"{contest.b.cell.id} against {contest.a.cell.id}",),
        lambda: pairs.is_decided(contest),
        measure,
    )
