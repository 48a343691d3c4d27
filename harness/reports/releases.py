"""The comparison of releases, arranged for every report: each step, what moved in it, and why."""

from collections.abc import Sequence
from dataclasses import dataclass

from harness.gate import GateResult
from harness.record import Record
from harness.releases import History, histories, left_out
from harness.reports import moved, upgrading
from harness.reports.answer import findings
from harness.reports.axes import Point
from harness.reports.facts import is_emulated, peak_memory, tokens_per_second
from harness.reports.moved import MovedAspect, Presence
from harness.reports.tables import eval_points
from harness.reports.wording import NOT_MEASURED, loss, rate, size
from harness.upgrades import Pair, Step, StepVerdict, steps
from harness.verdict import Outcome, Verdict


@dataclass(frozen=True)
class Figures:
    """One figure of a pair on both sides, and how they compare."""

    old: str
    new: str
    remark: str
    """The ratio new / old, or why there is none."""


@dataclass(frozen=True)
class PairView:
    """One pair with its numbers side by side."""

    pair: Pair
    eval_loss: Figures
    speed: Figures
    memory: Figures

    @property
    def curves(self) -> tuple[list[Point], list[Point]]:
        """The eval_loss of the old and of the new side by epoch."""
        old, new = self.pair.old, self.pair.new
        return eval_points(old.record) if old else [], eval_points(new.record) if new else []


@dataclass(frozen=True)
class Reason:
    """Cells that regress for the same reasons, and what moved in the first of them."""

    verdicts: tuple[Verdict, ...]
    """What is red in the first pair: the checks of its new side, or its two eval_losses."""
    diagnosis: tuple[str, ...]
    pairs: tuple[Pair, ...]
    candidates: tuple[str, ...]


@dataclass(frozen=True)
class StepView:
    """One step in reading order: verdict, reasons, what moved, numbers."""

    step: Step
    reason: str
    reasons: tuple[Reason, ...]
    aspects: tuple[MovedAspect, ...]
    unseen: tuple[Record, ...]
    """Records of the step that ended before their precision and defaults were seen."""
    departures: tuple[Presence, ...]
    replaced: tuple[Presence, ...]
    pairs: tuple[PairView, ...]
    """The worst first."""

    @property
    def locks(self) -> tuple[list[str], list[str]]:
        """The digests of the locks on each side: one for a CPU, one for a GPU."""
        old = [pair.old.record.stack.lock_digest for pair in self.step.pairs if pair.old]
        new = [pair.new.record.stack.lock_digest for pair in self.step.pairs if pair.new]
        return sorted(set(old)), sorted(set(new))

    @property
    def verdict(self) -> StepVerdict:
        """The verdict of the worst cell."""
        return self.step.verdict

    @property
    def drawn(self) -> list[PairView]:
        """The pairs that have a curve on both sides."""
        return [one for one in self.pairs if all(one.curves)]

    @property
    def compared(self) -> int:
        """How many cells ran on both sides."""
        return sum(len(one.pair.sides) == 2 for one in self.pairs)

    @property
    def title(self) -> str:
        """Both releases: `2025.3.14 → 2025.6.8`."""
        return f"{self.step.old.label} → {self.step.new.label}"


@dataclass(frozen=True)
class ReleasesView:
    """All steps of a run; `steps` is empty where no two releases can be compared."""

    steps: tuple[StepView, ...]
    told: tuple[tuple[History, str], ...]
    """Families that are red or unanswered on some release, and since when; red ones first."""
    steady: int
    """Families that pass on every release that has them."""
    left_out: tuple[str, ...]
    """Stacks without a place in the order of releases."""


def view(result: GateResult) -> ReleasesView:
    """Arrange the comparison of the releases in a run."""
    known = histories(result.cells)
    unsteady = [h for h in known if not upgrading.passes_everywhere(h)]
    unsteady.sort(key=lambda history: history.first_red is None)
    return ReleasesView(
        tuple(_step(step, result) for step in steps(result.cells)),
        tuple((history, upgrading.since(history)) for history in unsteady),
        len(known) - len(unsteady),
        tuple(left_out(result.cells)) if known else (),
    )


def _step(step: Step, result: GateResult) -> StepView:
    order = list(StepVerdict)
    pairs = sorted(step.pairs, key=lambda pair: order.index(pair.verdict))
    return StepView(
        step,
        upgrading.reason(step),
        tuple(_reasons(pairs, result)),
        tuple(moved.aspects(pairs)),
        tuple(moved.unseen(pairs)),
        tuple(moved.presence(pairs, lambda record: record.stack.overrides)),
        tuple(moved.presence(pairs, lambda record: record.hardware.replaced)),
        tuple(_pair(pair) for pair in pairs),
    )


def _reasons(pairs: Sequence[Pair], result: GateResult) -> list[Reason]:
    unsafe = [pair for pair in pairs if pair.verdict is StepVerdict.NOT_SAFE]
    return [*_by_checks(unsafe, result), *_by_losses(unsafe)]


def _by_checks(unsafe: Sequence[Pair], result: GateResult) -> list[Reason]:
    broken = {id(pair.new): pair for pair in unsafe}
    cells = [pair.new for pair in broken.values() if pair.new]
    reasons = []
    for finding in findings(result.model_copy(update={"cells": cells})):
        members = tuple(broken[id(cell)] for cell in finding.cells)
        facts = tuple(moved.candidates(members[0]))
        reasons.append(Reason(finding.verdicts, finding.diagnosis, members, facts))
    return reasons


def _by_losses(unsafe: Sequence[Pair]) -> list[Reason]:
    groups: dict[tuple[object, ...], list[Pair]] = {}
    for pair in unsafe:
        if pair.shifts:
            alike = tuple((shift.when, shift.new > shift.old) for shift in pair.shifts)
            groups.setdefault(alike, []).append(pair)
    reasons = []
    for members in groups.values():
        first = members[0]
        said = tuple(
            Verdict(
                check="eval_loss of two releases",
                cell_id=first.sides[-1].record.cell_id,
                outcome=Outcome.FAIL if shift.is_regression else Outcome.PASS,
                message=shift.words,
            )
            for shift in first.shifts
        )
        reasons.append(Reason(said, (), tuple(members), tuple(moved.candidates(first))))
    return reasons


def _pair(pair: Pair) -> PairView:
    old = pair.old.record if pair.old else None
    new = pair.new.record if pair.new else None
    return PairView(
        pair, Figures(_last_loss(old), _last_loss(new), ""), _speed(old, new), _memory(old, new)
    )


def _speed(old: Record | None, new: Record | None) -> Figures:
    before = tokens_per_second(old) if old else None
    after = tokens_per_second(new) if new else None
    return Figures(rate(before), rate(after), _incomparable(old, new) or _ratio(before, after))


def _memory(old: Record | None, new: Record | None) -> Figures:
    before = peak_memory(old) if old else None
    after = peak_memory(new) if new else None
    shown = [f"{size(peak[0])} {peak[1]}" if peak else NOT_MEASURED for peak in (before, after)]
    remark = _incomparable(old, new)
    if before and after and not remark:
        same = before[1] == after[1]
        remark = _ratio(before[0], after[0]) if same else "not compared: GPU and RSS"
    return Figures(shown[0], shown[1], remark)


def _last_loss(record: Record | None) -> str:
    return loss(record.eval_losses[-1] if record and record.evaluations else None)


def _ratio(old: float | None, new: float | None) -> str:
    return f"{new / old:.2f} of the old" if old and new else ""


def _incomparable(old: Record | None, new: Record | None) -> str:
    if old is None or new is None:
        return "emulated" if any(r and is_emulated(r) for r in (old, new)) else ""
    if is_emulated(old) or is_emulated(new):
        return "emulated, not compared"
    for name in ("device", "threads", "parallel_cells"):
        before, after = getattr(old.hardware, name), getattr(new.hardware, name)
        if before != after:
            return f"not compared: {name.replace('_', ' ')} {before} and {after}"
    return ""
