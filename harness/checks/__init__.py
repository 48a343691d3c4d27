"""Pure functions from records to verdicts, one module each.

A module in this package is a check when it defines `judge(record, context) -> Verdict`. Its name is
the check's name and its docstring names the real regression it exists for: adding a check is adding
one file. A check sees only finished runs; what became of the run itself is the check `completed`.
"""

import importlib
import pkgutil
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from harness.baselines.baseline import Baseline
from harness.record import Record
from harness.verdict import Outcome, Verdict

Judge = Callable[[Record, "Context"], Verdict]


@dataclass(frozen=True)
class Context:
    """What a check may look at beside the record."""

    repeats: tuple[Record, ...] = ()
    """Other records with the same key."""
    baseline: Baseline | None = None
    """Approved figures of the same experiment on this machine; comparable or not is for the check to
    say."""
    machines: tuple[str, ...] = ()
    """Machines that have a baseline of the experiment."""
    reference: Record | None = None
    """The same fine-tune on the reference stack, where it ran too."""


@dataclass(frozen=True)
class Check:
    """A named check and its judge."""

    name: str
    judge: Judge
    summary: str = field(default="")


@cache
def all_checks() -> tuple[Check, ...]:
    """Return every check, `completed` first, then by name."""
    names = sorted(m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_"))
    names.sort(key=lambda name: name != "completed")
    found = []
    for name in names:
        module = importlib.import_module(f"{__name__}.{name}")
        summary = (module.__doc__ or "").strip().split("\n")[0]
        found.append(Check(name, module.judge, summary))
    return tuple(found)


def judge(check: Check, record: Record, context: Context) -> Verdict:
    """Apply one check; a run that did not finish is judged by `completed` alone."""
    if check.name != "completed" and record.status != "COMPLETED":
        return verdict(check.name, record, Outcome.SKIPPED, f"the run ended as {record.status}")
    return check.judge(record, context)


def judge_all(record: Record, context: Context) -> list[Verdict]:
    """Apply every check to one record."""
    return [judge(check, record, context) for check in all_checks()]


def verdict(
    check: str,
    record: Record,
    outcome: Outcome,
    message: str,
    *,
    diagnosis: tuple[str, ...] = (),
    advice: tuple[str, ...] = (),
    **evidence: Any,
) -> Verdict:
    """Build a verdict on `record`; keyword arguments become its evidence."""
    return Verdict(
        check=check,
        cell_id=record.cell_id,
        outcome=outcome,
        message=message,
        diagnosis=diagnosis,
        advice=advice,
        evidence=evidence,
    )
