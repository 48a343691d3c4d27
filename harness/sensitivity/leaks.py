"""Clean and leaking runs, and how often the check of memory growth tells them apart."""

from collections.abc import Iterable

from rich.console import Console

from harness.cell_result import CellResult
from harness.faults.catalogue import Clean, Fault, read_catalogue
from harness.faults.trials import run_trials
from harness.sensitivity.rates import Leaks, leaks
from harness.verdict import Outcome

FAULT = "leaks_memory"
_FIRST_SEED = 2000


def leak_fault() -> Fault:
    """Return the catalogue's leak.

    Raises:
        SelectionError: The catalogue has none.
    """
    (fault,) = read_catalogue().select([FAULT])
    return fault


def measure_leaks(fault: Fault, runs: int, console: Console, *, fresh: bool = False) -> list[Leaks]:
    """Run the fault's cell with and without it, each time under another seed, and return both rates.

    Args:
        fault: A leak, and the check that is meant for it.
        runs: Of each; 0 for none.
        console: Shows progress.
        fresh: Run even what is finished.

    Raises:
        HarnessError: A cell that cannot be resolved here.
    """
    if not runs:
        return []
    recipes = [{**fault.recipe, "seed": _FIRST_SEED + number} for number in range(runs)]
    leaking = [fault.model_copy(update={"recipe": recipe}) for recipe in recipes]
    clean = [Clean(cell=fault.cell, recipe=recipe) for recipe in recipes]
    trials = run_trials(leaking, clean, console, fresh=fresh)
    return [
        leaks(list(_outcomes(fault.check, (t.cell for t in trials.clean))), leaking=False),
        leaks(list(_outcomes(fault.check, (t.cell for t in trials.faults))), leaking=True),
    ]


def _outcomes(check: str, cells: Iterable[CellResult]) -> Iterable[Outcome]:
    for cell in cells:
        yield next(v.outcome for v in cell.verdicts if v.check == check)
