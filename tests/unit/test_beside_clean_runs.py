from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from harness.baselines import beside_clean_runs
from harness.baselines.beside_clean_runs import CLEAN_RUNS, run_beside
from harness.dispatch.dispatcher import Result
from harness.errors import BaselineError
from harness.faults.catalogue import Clean, Fault, read_catalogue
from harness.faults.trials import CleanTrial, Finding, Trial
from harness.figures import FAMILIES
from harness.matrix import load_matrix
from harness.record import Conditions, Phase
from harness.verdict import Outcome
from tests.unit.records import evaluations, make_record, steps

QUIET = Console(quiet=True)


class Experiment:
    def __init__(self, cell: Any, fault: Path | None) -> None:
        self.cell, self.fault_file = cell, fault


class Plan:
    """Every clean run takes 0.1 s a step, a fault what the test says."""

    changes: dict[str | None, dict[str, Any]]
    order: list[tuple[str | None, int]]

    def __init__(self, options: Any) -> None:
        assert (options.jobs, options.fresh, options.preloaded) == (1, True, False)
        self.matrix = load_matrix()

    def once(self, cell: Any, fault: Path | None = None) -> Any:
        return type("Once", (), {"experiment": Experiment(cell, fault), "repeat": 0})()

    def execute(self, runs: list[Any], console: Console, folder: str) -> list[Result]:
        assert folder == "beside"
        return [Result(run, self._record(run), reused=False) for run in runs]

    def _record(self, run: Any) -> Any:
        fault = run.experiment.fault_file.stem if run.experiment.fault_file else None
        self.order.append((fault, run.repeat))
        fields = {"steps": steps(wall_s=0.1), **self.changes.get(fault, {})}
        cell_id = run.experiment.cell.id
        return make_record(cell_id=cell_id, fault=fault, repeat=run.repeat, **fields)


@pytest.fixture
def plan(monkeypatch: pytest.MonkeyPatch) -> type[Plan]:
    monkeypatch.setattr(beside_clean_runs, "Plan", Plan)
    Plan.changes, Plan.order = {}, []
    return Plan


def faults(*names: str) -> tuple[Fault, ...]:
    return read_catalogue().select(names)


def outcomes(cell: Any) -> dict[str, Outcome]:
    return {v.check: v.outcome for v in cell.verdicts if v.check in FAMILIES}


def test_the_catalogue_has_a_fault_for_each_check_that_needs_a_baseline() -> None:
    assert {f.check for f in read_catalogue().faults if f.needs_baseline} == set(FAMILIES)


def test_faults_are_judged_by_clean_runs_of_the_session_and_one_of_these_too(
    plan: type[Plan],
) -> None:
    larger = [Phase(name="train", wall_s=3.4, peak_rss=990 << 20)]
    plan.changes = {
        "slower_steps": {"steps": steps(wall_s=0.3)},
        "keeps_logits": {"phases": larger},
    }
    chosen = faults("slower_steps", "keeps_logits")
    judged, ((entry, clean),) = run_beside(chosen, QUIET)

    assert [Trial(f, cell).finding for f, cell in zip(chosen, judged, strict=True)] == [
        Finding.DETECTED,
        Finding.DETECTED,
    ]
    assert outcomes(clean) == dict.fromkeys(FAMILIES, Outcome.PASS)
    assert clean.record.repeat == CLEAN_RUNS
    assert entry == Clean(cell=chosen[0].cell, recipe=chosen[0].recipe)
    assert plan.order[:4] == [(None, 0), ("slower_steps", 0), (None, 1), ("keeps_logits", 0)]
    assert len(plan.order) == CLEAN_RUNS + 1 + 2


def test_a_fault_that_changes_nothing_is_missed(plan: type[Plan]) -> None:
    (fault,) = faults("slower_steps")
    (cell,), _ = run_beside([fault], QUIET)

    assert Trial(fault, cell).finding is Finding.MISSED


def test_a_slow_clean_run_is_a_false_alarm(
    plan: type[Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Plan._record

    def last_is_slow(self: Plan, run: Any) -> Any:
        record = original(self, run)
        return record.model_copy(
            update={"steps": steps(wall_s=0.2 if run.repeat == CLEAN_RUNS else 0.1)}
        )

    monkeypatch.setattr(Plan, "_record", last_is_slow)
    _, ((entry, clean),) = run_beside(faults("slower_steps"), QUIET)

    assert CleanTrial(entry, clean).is_false_alarm


def test_a_disturbed_trial_has_no_answer(plan: type[Plan]) -> None:
    busy = [Conditions(phase="train", cpu_others=0.5)]
    plan.changes = {"slower_steps": {"steps": steps(wall_s=0.3), "conditions": busy}}
    (fault,) = faults("slower_steps")
    (cell,), _ = run_beside([fault], QUIET)

    assert Trial(fault, cell).finding is Finding.NO_ANSWER


def test_clean_runs_that_spread_too_far_have_no_answer(
    plan: type[Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Plan._record

    def scattered(self: Plan, run: Any) -> Any:
        record = original(self, run)
        walls = steps(wall_s=0.1 + 0.05 * run.repeat)
        untimed = evaluations(6.74, 4.73, 4.38, 4.27, wall_s=0.0)
        return record.model_copy(update={"steps": walls, "evaluations": untimed})

    monkeypatch.setattr(Plan, "_record", scattered)
    (fault,) = faults("slower_steps")
    (cell,), _ = run_beside([fault], QUIET)

    assert outcomes(cell)["throughput"] is Outcome.UNCALIBRATED
    assert Trial(fault, cell).finding is Finding.NO_ANSWER


def test_what_was_disturbed_is_run_again_and_only_that(plan: type[Plan]) -> None:
    busy, tries = [Conditions(phase="train", cpu_others=0.5)], []
    original = Plan._record

    def quiet_the_second_time(self: Plan, run: Any) -> Any:
        record = original(self, run)
        tries.append(record.fault)
        first = record.fault is not None and tries.count(record.fault) == 1
        return record.model_copy(update={"conditions": busy if first else []})

    plan.changes = {"slower_steps": {"steps": steps(wall_s=0.3)}}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Plan, "_record", quiet_the_second_time)
        (fault,) = faults("slower_steps")
        (cell,), _ = run_beside([fault], QUIET)

    assert Trial(fault, cell).finding is Finding.DETECTED
    assert len(tries) == CLEAN_RUNS + 1 + 1 + 1
    assert tries[-1] == "slower_steps"


def test_clean_runs_that_break_make_no_baseline(plan: type[Plan]) -> None:
    plan.changes = {None: {"status": "OOM"}}

    with pytest.raises(BaselineError, match="judged beside"):
        run_beside(faults("slower_steps"), QUIET)
