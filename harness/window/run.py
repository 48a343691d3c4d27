"""Measure the parts of a window until its time is spent; the next window goes on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.text import Text

from harness.errors import HarnessError
from harness.hardware import detect
from harness.matrix import Cell, load_matrix
from harness.plan import Options, Plan
from harness.window import kept
from harness.window.budget import Budget
from harness.window.parts import Part
from harness.window.pieces import Piece, pieces


@dataclass(frozen=True)
class Reached:
    """How far a part is.

    Attributes:
        done: Labels of what has its answer.
        left: Labels of what has none.
        why: What keeps it from being measured here; empty where only the time was short.
    """

    part: Part
    done: tuple[str, ...]
    left: tuple[str, ...]
    why: tuple[str, ...] = ()


def measure(
    parts: Sequence[Part], file: Path, budget: Budget, console: Console, keep: Path
) -> list[Reached]:
    """Measure what fits, the first parts first, and pack what there is after each piece.

    Args:
        parts: Of `file`.
        file: Where the parts are from.
        budget: The window.
        console: Shows progress.
        keep: The file that is brought back.

    Returns:
        How far each part is.
    """
    found: dict[str, Reached] = {}
    try:
        with budget.enforced():
            for part in parts:
                found[part.name] = _measure(part, file, budget, console, keep)
    except KeyboardInterrupt:
        # The time is spent, or somebody pressed Ctrl-C.
        _say(console, "the window is over: what was running is lost, what was finished is kept")
    _keep(keep)
    return [found.get(part.name) or state(part, file) for part in parts]


def state(part: Part, file: Path, gpus: Sequence[str] = ()) -> Reached:
    """Say how far a part is, and measure nothing.

    Args:
        part: Of `file`.
        file: Where the part is from.
        gpus: Cards of a machine elsewhere, of which nothing is known; without one, this machine is asked.
    """
    try:
        if gpus:
            there = load_matrix(part.matrix_file(file), gpus)
            return Reached(part, (), tuple(cell.id for cell in part.select(there, gpus)))
        plan = _plan(part, file)
        cells, why = _runnable(part, plan)
        return _reached(part, list(pieces(part, plan, cells)), why)
    except HarnessError as error:
        return Reached(part, (), part.cells, (str(error),))


def _measure(part: Part, file: Path, budget: Budget, console: Console, keep: Path) -> Reached:
    try:
        plan = _plan(part, file)
        cells, why = _runnable(part, plan)
        cut = list(pieces(part, plan, cells))
        for piece in cut:
            if not piece.is_settled() and budget.fits(part.seconds):
                piece.measure(console)
                _keep(keep)
    except HarnessError as error:
        # A part that cannot run here does not take the window from the others.
        _say(console, f"{part.name}: {error}")
        return Reached(part, (), part.cells, (str(error),))
    return _reached(part, cut, why)


def _plan(part: Part, file: Path) -> Plan:
    # Fresh: what is settled is not run at all, and what is not is worth another try.
    return Plan(Options(part.matrix_file(file), jobs=part.jobs, per_gpu=part.jobs, fresh=True))


def _runnable(part: Part, plan: Plan) -> tuple[list[Cell], dict[str, str]]:
    """Return the cells that can run here, and why others cannot, by id."""
    gpus = [gpu.slug for gpu in plan.machine.gpus]
    cells: list[Cell] = []
    why: dict[str, str] = {}
    for cell in part.select(plan.matrix, gpus):
        try:
            plan.once(cell)
        except HarnessError as error:
            why[cell.id] = str(error)
        else:
            cells.append(cell)
    if part.do == "pairs" and why:
        return [], why
    return cells, why


def _reached(part: Part, cut: Sequence[Piece], why: Mapping[str, str]) -> Reached:
    done = [label for piece in cut if piece.is_settled() for label in piece.labels]
    left = [label for piece in cut if not piece.is_settled() for label in piece.labels]
    return Reached(part, tuple(done), (*left, *why), tuple(why.values()))


def _keep(file: Path) -> None:
    kept.describe(detect())
    kept.pack(file)


def _say(console: Console, message: str) -> None:
    console.print(Text(f"  {message}"), soft_wrap=True)
