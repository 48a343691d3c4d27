"""Records in, verdicts out: what the reports render and the exit code stands on."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal

from harness import newest
from harness.baselines import files as baseline_files
from harness.baselines.baseline import Baseline, experiment_of
from harness.cell_options import CellOptions
from harness.cell_result import CellResult
from harness.checks import Context, judge_all
from harness.errors import IncompleteError
from harness.locations import baselines_dir
from harness.record import Record
from harness.reference_ratio import reference_of, references
from harness.strict_json import PlainData, StrictModel
from harness.verdict import Outcome, Verdict, cell_outcome

__all__ = ["CellResult", "GateResult", "judge_again", "judge_cell", "judge_cells"]

RESULT_VERSION: Literal[1] = 1


class GateResult(StrictModel):
    """One run of the gate over a matrix."""

    schema_version: Literal[1] = RESULT_VERSION
    """Of result.json; a file of before the field is of version 1."""
    command: str
    started_at: str
    duration_s: float
    harness_version: str
    cells: list[CellResult]
    machine_info: PlainData = {}
    """What pytest-benchmark says of the machine that the run was started on; a reused record may be of
    another one, and names its own."""
    commit_info: PlainData = {}
    """What it says of the checkout that the run was started in."""

    @property
    def outcome(self) -> Outcome:
        """What stands for the run: what is red wins, then a cell without an answer, then PASS.

        Red is a red cell, or an upgrade that is not safe by the eval_loss of passing cells.
        """
        said = [(cell.record.cell_id, cell.outcome) for cell in self.cells]
        said += [
            (pair.family.name, Outcome.FAIL)
            for step in newest.loss_regressions(self.cells)
            for pair in step.pairs
        ]
        return cell_outcome(
            Verdict(check="cell", cell_id=name, outcome=outcome, message="")
            for name, outcome in said
        )

    @property
    def exit_code(self) -> int:
        """0 sound, 1 red, 19 when some cell has no answer; see `harness.errors.EXIT_CODES`."""
        if self.outcome.is_red:
            return 1
        return IncompleteError.exit_code if self.outcome.is_unanswered_run else 0

    def counts(self) -> dict[Outcome, int]:
        """Return how many cells have each outcome."""
        return dict(Counter(cell.outcome for cell in self.cells))


def judge_cell(
    records: list[Record],
    *,
    reused: bool,
    baseline: Baseline | None = None,
    reference: Record | None = None,
    ran_with: CellOptions | None = None,
) -> CellResult:
    """Judge one cell by its first record, the others being its repeats.

    Args:
        records: Of one cell.
        reused: Whether all of them were measured by an earlier run.
        baseline: In place of the approved one.
        reference: The same fine-tune on the reference stack, in the same run of the gate.
        ran_with: What selects the cell beside its id, where it is known.
    """
    record, *repeats = sorted(records, key=lambda r: r.repeat)
    folder = baselines_dir()
    baseline = baseline or baseline_files.find(record, folder)
    experiment = experiment_of(record.cell_id, record.stack.family)
    context = Context(
        repeats=tuple(repeats),
        baseline=baseline,
        machines=() if baseline else baseline_files.machines(experiment, folder),
        reference=reference,
    )
    return CellResult(
        record=record,
        repeats=repeats,
        verdicts=judge_all(record, context),
        reused=reused,
        ran_with=ran_with,
    )


def judge_cells(
    runs: Iterable[tuple[Record, bool]], ran_with: CellOptions | None = None
) -> list[CellResult]:
    """Group records by cell, in order of appearance, and judge each.

    Args:
        runs: Records, and whether each was measured by an earlier run.
        ran_with: What selects the cells beside their ids, where it is known.
    """
    by_cell: dict[str, list[tuple[Record, bool]]] = {}
    for record, reused in runs:
        by_cell.setdefault(record.cell_id, []).append((record, reused))
    known = references(record for group in by_cell.values() for record, _ in group)
    return [
        judge_cell(
            [record for record, _ in group],
            reused=all(reused for _, reused in group),
            reference=reference_of(min((r for r, _ in group), key=lambda r: r.repeat), known),
            ran_with=ran_with,
        )
        for group in by_cell.values()
    ]


def judge_again(cells: Sequence[CellResult]) -> list[CellResult]:
    """Judge the records of judged cells by today's checks."""
    judged = judge_cells((r, c.reused) for c in cells for r in (c.record, *c.repeats))
    known = {cell.record.cell_id: cell.ran_with for cell in cells}
    return [c.model_copy(update={"ran_with": known[c.record.cell_id]}) for c in judged]
