"""Run the variants of relations for real, and judge what differs by the measured tolerances."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from harness.comparison import Comparison, compare, dtype, uncalibrated
from harness.dispatch.dispatcher import Run
from harness.errors import SelectionError
from harness.matrix import Cell
from harness.plan import Plan
from harness.record import Record
from harness.relation_settings import Settings
from harness.relations import Deviation, NotApplicable, Relation, all_relations
from harness.verdict import Outcome, Verdict


@dataclass(frozen=True)
class Trial:
    """A relation on a cell.

    Attributes:
        deviations: What was measured; none where a run did not finish.
        dtype: The effective dtype that the tolerances are for; empty without a run.
    """

    relation: Relation
    cell: Cell
    deviations: tuple[Deviation, ...]
    dtype: str
    verdict: Verdict


def select(names: Sequence[str]) -> tuple[Relation, ...]:
    """Return the relations of these names, all of them for no name.

    Raises:
        SelectionError: There is no relation of that name.
    """
    known = {relation.name: relation for relation in all_relations()}
    for name in names:
        if name not in known:
            raise SelectionError(f"no relation {name!r}; there are {', '.join(known)}.")
    return tuple(known[name] for name in names) or tuple(known.values())


def run_relations(
    relations: Sequence[Relation],
    cells: Sequence[Cell],
    plan: Plan,
    settings: Settings,
    console: Console,
) -> list[Trial]:
    """Run what the relations need and is not finished, each run once, and judge every relation.

    Raises:
        HarnessError: A cell that cannot be resolved here.
    """
    asked = [Asked.of(relation, cell) for cell in cells for relation in relations]
    wanted = [one.runs(plan) for one in asked]
    once = list(dict.fromkeys(run for runs in wanted for run in runs))
    records = {r.run: r.record for r in plan.execute(once, console)}
    return [
        one.judged([records[run] for run in runs], settings)
        for one, runs in zip(asked, wanted, strict=True)
    ]


@dataclass(frozen=True)
class Asked:
    """A relation that is asked of a cell.

    Attributes:
        variants: The cells it needs by name.
        skipped: Why there are none.
    """

    relation: Relation
    cell: Cell
    variants: Mapping[str, Cell]
    skipped: str = ""

    @classmethod
    def of(cls, relation: Relation, cell: Cell) -> "Asked":
        """Ask."""
        try:
            return cls(relation, cell, relation.variants(cell))
        except NotApplicable as reason:
            return cls(relation, cell, {}, str(reason))

    def runs(self, plan: Plan, fault: Path | None = None) -> list[Run]:
        """Return the runs of its variants; a fault goes into those on the cell's own stack."""
        return [
            plan.once(
                variant, self.relation.extras, fault if variant.stack == self.cell.stack else None
            )
            for variant in self.variants.values()
        ]

    def judged(self, records: Sequence[Record], settings: Settings) -> Trial:
        """Judge it by the records of its runs, in their order."""
        mine = dict(zip(self.variants, records, strict=True))
        return judge(self.relation, self.cell, mine, settings, self.skipped)


def judge(
    relation: Relation,
    cell: Cell,
    records: Mapping[str, Record],
    settings: Settings,
    skipped: str = "",
) -> Trial:
    """Judge one relation by the records of its variants.

    Args:
        relation: What must hold.
        cell: What it is asked of.
        records: Of its variants, by name.
        settings: Names the violations that are findings.
        skipped: Why there are none.
    """

    def trial(
        outcome: Outcome, message: str, deviations: Sequence[Deviation] = (), of: str = ""
    ) -> Trial:
        verdict = Verdict(
            check=relation.name,
            cell_id=cell.id,
            outcome=outcome,
            message=message,
            evidence={d.quantity: d.value for d in deviations},
        )
        return Trial(relation, cell, tuple(deviations), of, verdict)

    if skipped:
        return trial(Outcome.SKIPPED, skipped)
    for name, record in records.items():
        if record.status != "COMPLETED":
            reason = record.failure.message if record.failure else "it left no reason"
            return trial(Outcome(record.status), f"the run {name!r} did not finish: {reason}")
    try:
        deviations = _largest(list(relation.deviations(records)))
    except NotApplicable as reason:
        return trial(Outcome.SKIPPED, str(reason))
    last = list(records.values())[-1]
    outcome, message = _judged(relation.name, deviations, last, settings, cell.stack)
    return trial(outcome, message, deviations, dtype(last))


def _judged(
    name: str, deviations: Sequence[Deviation], record: Record, settings: Settings, stack: str
) -> tuple[Outcome, str]:
    failed, known, compared, held = [], [], [], []
    for one in deviations:
        finding = settings.finding(name, one.quantity, stack) if one.value else None
        comparison = compare(record, name, one.quantity, one.value, _said(one), one.dtype)
        if finding is not None:
            known.append(f"known: {_said(one)} deviates by {one.value:.2g} ({finding})")
        elif math.isinf(one.value):
            failed.append(f"{_said(one)} is violated")
        elif one.is_exact:
            held.append(one.quantity)
        elif comparison.fails:
            failed.append(_beyond(comparison))
        else:
            compared.append(comparison)
            held.append(f"{one.quantity} to {one.value:.2g}")
    if failed:
        return Outcome.FAIL, "; ".join([*failed, *known])
    if unknown := uncalibrated(record, compared):
        return Outcome.UNCALIBRATED, "; ".join([unknown, *known])
    if known and not compared:
        return Outcome.SKIPPED, "; ".join(known)
    return Outcome.PASS, "; ".join([f"holds: {', '.join(held)}", *known])


def _beyond(one: Comparison) -> str:
    allowed = one.tolerance.relative if one.tolerance else 0.0
    return f"{one.name} deviates by {one.deviation:.2g}, allowed {allowed:g}"


def _said(deviation: Deviation) -> str:
    return f"{deviation.quantity} ({deviation.where})" if deviation.where else deviation.quantity


def _largest(deviations: Sequence[Deviation]) -> list[Deviation]:
    """Return the largest deviation of each quantity, in order of appearance."""
    found: dict[str, Deviation] = {}
    for one in deviations:
        if one.quantity not in found or one.value > found[one.quantity].value:
            found[one.quantity] = one
    return list(found.values())
