"""A history of releases whose cells are simulated: no registry, no environment, no training."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from harness.bisect import history
from harness.bisect.history import Release, select
from harness.dispatch.dispatcher import Result, Run
from harness.locations import reports_dir
from harness.plan import Plan
from harness.record import Record
from harness.stacks import as_of_day, environments, kept_locks
from harness.stacks.kept_locks import KeptLock
from harness.stacks.stack import load_stack
from harness.stacks.stacks_file import Override
from harness.store import RecordStore
from tests.unit.frozen import OVERFLOWING
from tests.unit.records import make_record

VERSIONS = [f"2025.1.{n}" for n in range(1, 101)]

Versions = dict[str, str]
"""Version by package."""
Outcome = Callable[[Versions, int], Record]
"""What a cell of these packages records, at which repetition."""


def sound(**changes: object) -> Record:
    return make_record(**changes)


def frozen() -> Record:
    return make_record(**OVERFLOWING)


def ended(status: str, phase: str, kind: str, message: str) -> Record:
    failure = {"phase": phase, "kind": kind, "message": message}
    return make_record(status=status, failure=failure, steps=[], evaluations=[])


@dataclass
class Simulated:
    """What stands in place of the registry and of training.

    Attributes:
        outcome: What a cell of some packages does.
        packages: What a release resolves to, beside itself, by its place in the history.
        ran: Every run, as `package versions` and repetition.
        resolved: Releases that were resolved, in order.
    """

    outcome: Outcome
    packages: Callable[[int], Versions] = lambda at: {"unsloth-zoo": f"1.{at}", "trl": "0.9.0"}
    ran: list[tuple[Versions, int]] = field(default_factory=list)
    resolved: list[str] = field(default_factory=list)

    def release_of(
        self, version: str, uploaded: object, overrides: Sequence[Override] = (), say: object = None
    ) -> str:
        self.resolved.append(version)
        at = VERSIONS.index(version)
        versions = {"unsloth": version, "torch": "2.6.0", **self.packages(at)}
        versions |= {
            pin.split("==")[0]: pin.split("==")[1] for o in overrides for pin in [o.requirement]
        }
        lock = "".join(f"{name}=={versions[name]}\n" for name in sorted(versions))
        return kept_locks.keep(KeptLock(version=version, python="3.11", lock=lock))

    def execute(
        self, plan: Plan, runs: Sequence[Run], console: Console, folder: str = "records"
    ) -> list[Result]:
        store = RecordStore(reports_dir() / folder)
        done = []
        for run in runs:
            versions = run.experiment.stack.versions
            self.ran.append((versions, run.repeat))
            record = self.outcome(versions, run.repeat).model_copy(
                update={"repeat": run.repeat, "cell_id": run.experiment.cell.id}
            )
            store.save(run.experiment, record)
            done.append(Result(run, record, reused=False))
        return done


def simulate(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, outcome: Outcome, **fields: object
) -> Simulated:
    """Put a simulated history of a hundred releases, one a day, in place of the real one."""
    simulated = Simulated(outcome, **fields)  # type: ignore[arg-type]
    first = datetime(2025, 1, 1, tzinfo=UTC)
    published = [Release(v, first + timedelta(days=n)) for n, v in enumerate(VERSIONS)]
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HARNESS_REPORTS", str(tmp_path / "reports"))
    monkeypatch.setattr(history, "between", lambda one, other: select(published, one, other))
    monkeypatch.setattr(as_of_day, "release_of", simulated.release_of)
    monkeypatch.setattr(Plan, "execute", lambda plan, *args: simulated.execute(plan, *args))
    monkeypatch.setattr(environments, "ensure", lambda stack: Path("python"))
    load_stack.cache_clear()
    return simulated


def number(versions: Versions) -> int:
    """Return the place of a stack's Unsloth in the history, from 1."""
    return int(versions["unsloth"].rpartition(".")[2])
