"""Run faults and clean cells for real, and hold what the checks say against the catalogue."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from enum import StrEnum

from rich.console import Console

from harness.baselines.beside_clean_runs import run_beside
from harness.cell_result import CellResult
from harness.dispatch.dispatcher import Result
from harness.faults.catalogue import Clean, Fault
from harness.gate import judge_cells
from harness.matrix import Cell
from harness.plan import Options, Plan
from harness.relation_settings import read_settings
from harness.relation_trials import Asked
from harness.verdict import Outcome


class Finding(StrEnum):
    """What became of a fault."""

    DETECTED = "DETECTED"
    """By the check meant for it, with the diagnosis expected."""
    UNEXPLAINED = "UNEXPLAINED"
    """By the check meant for it, which does not say why."""
    OTHER = "OTHER CHECK"
    """Red, but not by the check meant for it."""
    MISSED = "MISSED"
    NO_ANSWER = "NO ANSWER"
    """The run reached a limit, the machine failed it, or clean runs spread too far: nothing is said about
    the fault."""


@dataclass(frozen=True)
class Trial:
    """A fault and its judged cell."""

    fault: Fault
    cell: CellResult

    @property
    def red(self) -> tuple[str, ...]:
        """Names of the checks that are red."""
        return tuple(v.check for v in self.cell.verdicts if v.outcome.is_red)

    @property
    def finding(self) -> Finding:
        """What became of the fault, whatever the catalogue expects of it."""
        meant = next((v for v in self.cell.verdicts if v.check == self.fault.check), None)
        if meant is not None and meant.outcome is self.fault.outcome:
            wanted = self.fault.diagnosis
            explained = not wanted or any(wanted in cause for cause in meant.diagnosis)
            return Finding.DETECTED if explained else Finding.UNEXPLAINED
        if any(v.outcome.is_unanswered_run for v in self.cell.verdicts):
            return Finding.NO_ANSWER
        if meant is not None and meant.outcome is Outcome.UNCALIBRATED and not self.red:
            return Finding.NO_ANSWER
        return Finding.OTHER if self.red else Finding.MISSED

    @property
    def problem(self) -> str | None:
        """Why the trial is not as the catalogue says, None when it is."""
        fault, finding = self.fault, self.finding
        if not fault.would_see:
            if finding is Finding.DETECTED:
                return None
            return (
                f"{finding}: {fault.check} must answer {fault.outcome}, saying {fault.diagnosis!r}"
            )
        if finding is Finding.NO_ANSWER:
            return f"{finding}: run it again"
        if finding in (Finding.DETECTED, Finding.UNEXPLAINED):
            return f"{fault.check} sees it now: take would_see and seen_by out of its entry"
        if set(self.red) != set(fault.seen_by):
            seen, declared = (", ".join(n) or "nothing" for n in (self.red, fault.seen_by))
            return f"seen by {seen}, the catalogue declares {declared}: update its entry"
        return None


@dataclass(frozen=True)
class CleanTrial:
    """A run without a fault, and its judged cell."""

    clean: Clean
    cell: CellResult

    @property
    def problem(self) -> str | None:
        """The alarm, or that there is no answer; None when the run passes."""
        verdicts = self.cell.verdicts
        if alarms := [f"{v.check}: {v.message}" for v in verdicts if v.outcome.is_red]:
            return f"false alarm: {'; '.join(alarms)}"
        if any(v.outcome.is_unanswered_run for v in verdicts):
            return f"{Finding.NO_ANSWER}: the run ended as {self.cell.record.status}"
        return None

    @property
    def is_false_alarm(self) -> bool:
        """Whether a check is red."""
        return any(v.outcome.is_red for v in self.cell.verdicts)


@dataclass(frozen=True)
class Trials:
    """All trials of one call."""

    faults: list[Trial] = field(default_factory=list)
    clean: list[CleanTrial] = field(default_factory=list)

    def count(self, finding: Finding) -> int:
        """Return how many faults have this finding."""
        return sum(trial.finding is finding for trial in self.faults)

    @property
    def problems(self) -> list[tuple[str, str]]:
        """Name and problem of each trial that is not as the catalogue says."""
        named = [(t.fault.name, t.problem) for t in self.faults]
        named += [(t.clean.name, t.problem) for t in self.clean]
        return [(name, problem) for name, problem in named if problem is not None]

    @property
    def exit_code(self) -> int:
        """0 when every trial is as the catalogue says, else 1."""
        return 1 if self.problems else 0


def run_trials(
    faults: Sequence[Fault], clean: Sequence[Clean], console: Console, *, fresh: bool = False
) -> Trials:
    """Run what has no finished record, and judge; faults that need a baseline always run.

    Raises:
        HarnessError: A cell that cannot be resolved here.
    """
    beside = [fault for fault in faults if fault.needs_baseline]
    faults = [fault for fault in faults if not fault.needs_baseline]
    plan = Plan(Options(fresh=fresh, preloaded=True))
    wanted = [
        plan.runs([f.cell_of(plan.matrix)], fault=f.file, timeout_s=f.timeout_s) for f in faults
    ]
    wanted += [plan.runs([entry.cell_of(plan.matrix)]) for entry in clean]
    asked = {
        fault.name: Asked.of(fault.relation, fault.cell_of(plan.matrix))
        for fault in faults
        if fault.relation is not None
    }
    variants = {f.name: asked[f.name].runs(plan, f.file) for f in faults if f.name in asked}
    runs = [run for several in (*wanted, *variants.values()) for run in several]
    limit = plan.matrix.timeout_s
    # What ends at a limit of its own first, as others train beside it; then one stack after the other:
    # it is imported as often as cells run at once.
    order = sorted(
        dict.fromkeys(runs),
        key=lambda run: (run.experiment.timeout_s >= limit, *_place(run.experiment.cell)),
    )
    with closing(plan):
        results = {result.run: result for result in plan.execute(order, console)}
    cells = [_judged([results[run] for run in several]) for several in wanted]
    trials = [Trial(fault, cell) for fault, cell in zip(faults, cells, strict=False)]
    settings = read_settings()
    for trial in trials:
        if (one := asked.get(trial.fault.name)) is not None:
            records = [results[run].record for run in variants[trial.fault.name]]
            trial.cell.verdicts.append(one.judged(records, settings).verdict)
    cleans = list(zip(clean, cells[len(faults) :], strict=True))
    if beside:
        judged, clean_beside = run_beside(beside, console)
        trials += [Trial(fault, cell) for fault, cell in zip(beside, judged, strict=True)]
        cleans += clean_beside
    return Trials(trials, [CleanTrial(entry, cell) for entry, cell in cleans])


def _place(cell: Cell) -> tuple[str, str]:
    return cell.stack, cell.hardware


def _judged(results: Sequence[Result]) -> CellResult:
    (cell,) = judge_cells((result.record, result.reused) for result in results)
    return cell
