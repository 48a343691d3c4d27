"""One call of `harness relations`: the table on given cells, then a search for each relation."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console

from harness.errors import IncompleteError
from harness.matrix import Cell
from harness.plan import Plan
from harness.relation_settings import read_settings
from harness.relation_trials import Trial, run_relations, select
from harness.relations import Relation
from harness.reports.relations import found


@dataclass(frozen=True)
class Sheet:
    """What came of it.

    Attributes:
        trials: Every relation on every cell.
        searched: What the searches came to, in lines.
        all_trials: Those of the searches, too.
        violated: Whether a search found a recipe that violates its relation.
    """

    trials: list[Trial]
    searched: list[str]
    all_trials: list[Trial]
    violated: bool

    @property
    def exit_code(self) -> int:
        """0 nothing is violated, 1 something is or crashed, 19 a run has no answer."""
        outcomes = [trial.verdict.outcome for trial in self.trials]
        if self.violated or any(o.is_red for o in outcomes):
            return 1
        return IncompleteError.exit_code if any(o.is_unanswered_run for o in outcomes) else 0


def run_sheet(
    plan: Plan,
    names: Sequence[str],
    cell_ids: Sequence[str],
    examples: int,
    seed: int,
    console: Console,
) -> Sheet:
    """Run relations on cells, and search for recipes that violate them.

    Args:
        plan: Where cells are found and run.
        names: Of relations; none for all.
        cell_ids: None for those of fixtures/relations.toml.
        examples: Recipes that a search tries; 0 for no search.
        seed: Of the searches.
        console: Shows progress.

    Raises:
        HarnessError: An unknown name, or a cell that cannot be resolved here.
    """
    settings, relations = read_settings(), select(names)
    cells = [plan.matrix.cell(cell_id) for cell_id in cell_ids or settings.cells]
    trials = run_relations(relations, cells, plan, settings, console)
    sheet = Sheet(trials, [], list(trials), violated=False)
    violated = False
    if not examples:
        return sheet
    # Half a second of imports that no other command needs.
    from harness.relation_search import search

    for relation in relations:

        def one(cell: Cell, relation: Relation = relation) -> Trial:
            return run_relations([relation], [cell], plan, settings, console)[0]

        result = search(cells, one, examples=examples, seed=seed)
        sheet.searched.extend(found(relation, result, plan.options.fault))
        sheet.all_trials.extend(result.trials)
        violated |= result.smallest is not None
    return Sheet(sheet.trials, sheet.searched, sheet.all_trials, violated)
