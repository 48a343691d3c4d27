"""Whether an upgrade makes training slower: process pairs of neighbouring releases, as a verdict of a cell.

The verdict is the newer cell's, so that a slower release is red, and the step to it NOT SAFE, by the rules
that hold for every check. On native hardware only: times of an emulated card are not the card's.
"""

import shlex
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.text import Text

from harness.cell_options import CellOptions
from harness.cell_result import CellResult
from harness.errors import PacedRunError
from harness.plan import Plan
from harness.throughput.answer import Answer
from harness.throughput.pairs import Contest, compare
from harness.upgrades import steps
from harness.verdict import Outcome, Verdict

CHECK = "upgrade_throughput"


def with_throughput(plan: Plan, cells: Sequence[CellResult], console: Console) -> list[CellResult]:
    """Return the cells with a verdict more in each that was compared with its predecessor.

    Args:
        plan: Where the cells are from.
        cells: A run's.
        console: Shows each pair.
    """
    verdicts = {
        new.record.cell_id: _compared(plan, old, new, console) for old, new in comparable(cells)
    }
    if not verdicts:
        console.print(
            Text("  throughput: no cell passes on two releases on native hardware, none compared")
        )
    return keep(verdicts, cells)


def keep(verdicts: dict[str, Verdict], cells: Sequence[CellResult]) -> list[CellResult]:
    """Return the cells with the verdicts put behind their own, by cell id."""
    return [
        cell.model_copy(update={"verdicts": [*cell.verdicts, verdicts[cell.record.cell_id]]})
        if cell.record.cell_id in verdicts
        else cell
        for cell in cells
    ]


def kept(cells: Sequence[CellResult]) -> dict[str, Verdict]:
    """Return the verdicts that earlier pairs gave, by cell id: no record has what they rest on."""
    return {v.cell_id: v for cell in cells for v in cell.verdicts if v.check == CHECK}


def comparable(cells: Sequence[CellResult]) -> Iterator[tuple[CellResult, CellResult]]:
    """Yield the old and the new cell of each comparison: of a hardware and dtype the first recipe.

    Both sides pass on native hardware; recipes of one dtype train the same shapes.
    """
    for step in steps(cells):
        seen = set()
        for pair in step.pairs:
            family, old, new = pair.family, pair.old, pair.new
            passing = [cell for cell in pair.sides if cell.outcome is Outcome.PASS]
            kind = family.hardware, family.dtype
            if family.kind == "native" and len(passing) == 2 and kind not in seen:
                assert old is not None
                assert new is not None
                seen.add(kind)
                yield old, new


def _compared(plan: Plan, old: CellResult, new: CellResult, console: Console) -> Verdict:
    ids = old.record.cell_id, new.record.cell_id
    console.print(Text(f"  throughput of {ids[1]} against {ids[0]}"), soft_wrap=True)
    first, second = (plan.once(plan.matrix.cell(cell_id)).experiment for cell_id in ids)
    try:
        answer = compare(Contest(first, second), console, fresh=plan.options.fresh)
    except PacedRunError as error:
        return Verdict(check=CHECK, cell_id=ids[1], outcome=Outcome.INFRA, message=str(error))
    return verdict_of(answer, plan.options.cell_options)


def verdict_of(answer: Answer, ran_with: CellOptions | None = None) -> Verdict:
    """Return what pairs say as a verdict of B's cell: FAIL where it is slower.

    Args:
        answer: Of the pairs.
        ran_with: What selects both cells beside their ids, where it is not the default.
    """
    a, b = answer.series.a, answer.series.b
    command = shlex.join(["harness", "explain", a, b, *(ran_with or CellOptions()).arguments()])
    outcome = Outcome.SKIPPED if answer.exit_code else Outcome.PASS
    if answer.slower:
        outcome = Outcome.FAIL
    figures = {
        figure: {
            "ratio": said.ratio,
            "low": said.low,
            "high": said.high,
            "pairs": said.pairs,
            "power": said.power,
            "detectable": said.detectable,
        }
        for figure, said in answer.decisions.items()
    }
    return Verdict(
        check=CHECK,
        cell_id=b,
        outcome=outcome,
        message=answer.sentence,
        diagnosis=(f"the release takes longer than {a} for the same work",)
        if answer.slower
        else (),
        advice=(f"{command} names what it computes otherwise",) if answer.slower else (),
        evidence=figures,
    )
