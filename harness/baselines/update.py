"""Approve runs as a baseline: run repeats alone on the machine, refuse what is unfit, say what moved."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from harness.baselines import files as baseline_files
from harness.baselines import undisturbed
from harness.baselines.bands import MIN_REPEATS
from harness.baselines.baseline import Approval, Baseline, experiment_of, from_records
from harness.checks import Context, judge_all
from harness.commit import clean_commit
from harness.conditions import disturbances
from harness.dispatch.dispatcher import Run
from harness.errors import BaselineError
from harness.figures import FAMILIES
from harness.locations import PACKAGE, baselines_dir
from harness.matrix import Cell
from harness.plan import Plan
from harness.record import Record
from harness.reference_ratio import Place, references
from harness.stacks.stack import parse_name
from harness.verdict import Outcome

RECORDS = "baselines"
"""Where the records behind baselines are kept, below the reports folder."""


@dataclass(frozen=True)
class Update:
    """A baseline that was written, what it replaces, and which checks could not answer."""

    baseline: Baseline
    former: Baseline | None
    unanswered: tuple[str, ...]
    path: Path


def update(
    plan: Plan, cells: Sequence[Cell], runs: int, reason: str, console: Console
) -> list[Update]:
    """Run each cell `runs` times, judge the runs, and write their baselines.

    Cells take turns, so that a machine that drifts shows in every band, and a cell of the reference
    stack among them runs beside each repeat of its like: then baselines hold the ratios, too. All cells
    are fit, or no file is written.

    Args:
        plan: Runs one cell at once, whatever is finished.
        cells: Cells of this machine.
        runs: Repeats of each cell.
        reason: Why the former figures no longer hold.
        console: Shows progress.

    Raises:
        BaselineError: No reason, too few runs, two releases of one experiment, a dirty tree, or runs that
            are unfit: see `examine`.
        StorageError: A file cannot be written.
    """
    _refuse_without_reason(reason)
    if runs < MIN_REPEATS:
        raise BaselineError(
            f"--runs {runs}: fewer than {MIN_REPEATS} say nothing of the spread between processes."
        )
    _refuse_two_releases({cell.id: parse_name(cell.stack)[0] for cell in cells})
    commit = clean_commit(PACKAGE.parent)
    wanted = [Run(plan.once(cell).experiment, repeat) for repeat in range(runs) for cell in cells]
    results = undisturbed.execute(plan, wanted, console, RECORDS)
    records = {
        cell.id: [r.record for r in results if r.record.cell_id == cell.id] for cell in cells
    }
    beside = references(record for repeats in records.values() for record in repeats)
    found = [examine(records[cell.id], beside) for cell in cells]
    return [_write(baseline, unanswered, reason, commit) for baseline, unanswered in found]


def approve(
    records: Sequence[Record], commit: str, reason: str, cell_ids: Sequence[str] = ()
) -> list[Update]:
    """Write baselines of runs that another machine brought back; all of them are fit, or no file is written.

    Args:
        records: Repeats, of one or more cells; the reference stack's among them give the ratios.
        commit: Of the harness that measured them.
        reason: Why the former figures no longer hold.
        cell_ids: Which cells; all of them without one.

    Raises:
        BaselineError: No reason, no commit, a cell without records, two releases of one experiment, or runs
            that are unfit: see `examine`.
        StorageError: A file cannot be written.
    """
    _refuse_without_reason(reason)
    if not commit:
        raise BaselineError(
            "nobody says which commit of the harness measured these records, so that nobody could run "
            "them again. Export the wheelhouse from a clean checkout, or measure in one."
        )
    by_cell: dict[str, list[Record]] = {}
    for record in records:
        by_cell.setdefault(record.cell_id, []).append(record)
    if missing := [cell_id for cell_id in cell_ids if cell_id not in by_cell]:
        raise BaselineError(f"no repeats of {missing[0]}; there are some of {', '.join(by_cell)}.")
    chosen = {cell_id: by_cell[cell_id] for cell_id in cell_ids or by_cell}
    _refuse_two_releases({name: group[0].stack.family for name, group in chosen.items()})
    beside = references(records)
    found = [examine(group, beside) for group in chosen.values()]
    return [_write(baseline, unanswered, reason, commit) for baseline, unanswered in found]


def _refuse_without_reason(reason: str) -> None:
    if not reason.strip():
        raise BaselineError(
            "a baseline needs a reason: it is what a reviewer reads. Give --reason."
        )


def _refuse_two_releases(families: Mapping[str, str]) -> None:
    known: dict[str, str] = {}
    for cell_id, family in families.items():
        experiment = experiment_of(cell_id, family)
        if (other := known.setdefault(experiment, cell_id)) != cell_id:
            raise BaselineError(
                f"{other} and {cell_id} share one baseline, {experiment}: it is what releases are "
                "compared with. Approve one of them."
            )


def examine(
    records: Sequence[Record], beside: Mapping[Place, Record] | None = None
) -> tuple[Baseline, tuple[str, ...]]:
    """Return the baseline that repeats of one cell make, and the checks that could not answer.

    Args:
        records: The repeats.
        beside: As in `from_records`.

    Raises:
        BaselineError: What `from_records` refuses; a verdict that is red or no answer; a disturbed run.
    """
    baseline = from_records(records, beside)
    unanswered: dict[str, None] = {}
    for record in records:
        name = f"{record.cell_id} repeat {record.repeat}"
        if disturbed := disturbances(record):
            raise BaselineError(f"{name} was disturbed: {'; '.join(disturbed)}. Run it alone.")
        others = tuple(other for other in records if other is not record)
        for verdict in judge_all(record, Context(repeats=others)):
            if verdict.outcome.is_red or verdict.outcome.is_unanswered_run:
                raise BaselineError(
                    f"{name}: {verdict.check} answers {verdict.outcome}: {verdict.message}. Only sound "
                    "runs are approved."
                )
            if verdict.outcome is not Outcome.PASS and verdict.check not in FAMILIES:
                unanswered[f"{verdict.check} {verdict.outcome}"] = None
    return baseline, tuple(unanswered)


def approved(baseline: Baseline, reason: str, commit: str, former: Baseline | None) -> Baseline:
    """Return a baseline with its approval, and what it moves against the former one."""
    approval = Approval(
        reason=reason.strip(),
        commit=commit,
        approved_at=datetime.now(UTC).isoformat(timespec="seconds"),
        former=_named(former) if former else "",
        differences=differences(baseline, former) if former else {},
        incomparable=tuple(former.comparable.differences(baseline.comparable)) if former else (),
    )
    return baseline.model_copy(update={"approval": approval})


def differences(baseline: Baseline, former: Baseline) -> dict[str, float]:
    """Return figure -> relative difference of the centers, signed; empty where they are incomparable."""
    if former.comparable.differences(baseline.comparable):
        return {}
    return {
        name: round(band.center / former.bands[name].center - 1, 4)
        for name, band in baseline.bands.items()
        if name in former.bands
    }


def _write(baseline: Baseline, unanswered: tuple[str, ...], reason: str, commit: str) -> Update:
    folder = baselines_dir()
    machine = baseline.comparable.machine
    path = baseline_files.baseline_path(baseline.experiment, machine, folder)
    former = baseline_files.load(path, folder) if path.exists() else None
    final = approved(baseline, reason, commit, former)
    return Update(final, former, unanswered, baseline_files.write(final, folder))


def _named(baseline: Baseline) -> str:
    if baseline.approval is None:
        return baseline.release
    approval = baseline.approval
    return f"{baseline.release} at {approval.commit[:12]}, {approval.approved_at[:10]}"
