"""Rates of the check of memory growth: as many clean runs as leaking ones, each under its own seed."""

from collections.abc import Sequence
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from harness.faults.catalogue import Clean, Fault
from harness.faults.trials import CleanTrial, Trial, Trials
from harness.sensitivity import leaks as sensitivity_leaks
from harness.sensitivity.leaks import measure_leaks
from harness.verdict import Outcome
from tests.unit.gate_results import cell

LEAK = Fault(
    name="leaks_memory", row="Z#857", check="eval_loss_moves", recipe={"attention": "sdpa"}
)
CONSOLE = Console(file=StringIO())


def test_each_run_has_a_seed_of_its_own_and_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []

    def run_trials(
        faults: Sequence[Fault], clean: Sequence[Clean], console: Console, *, fresh: bool
    ) -> Trials:
        asked.extend(one.recipe for one in (*faults, *clean))
        # One leak in five is missed, and there is no false alarm.
        outcomes = [Outcome.FAIL if number else Outcome.PASS for number in range(len(faults))]
        return Trials(
            [Trial(f, cell(outcome=o)) for f, o in zip(faults, outcomes, strict=True)],
            [CleanTrial(one, cell()) for one in clean],
        )

    monkeypatch.setattr(sensitivity_leaks, "run_trials", run_trials)
    clean, leaking = measure_leaks(LEAK, 5, CONSOLE)
    assert (clean.leaking, clean.runs, clean.share) == (False, 5, 0)
    assert (leaking.leaking, leaking.runs, leaking.share) == (True, 5, 0.8)
    assert len({recipe["seed"] for recipe in asked}) == 5
    assert all(recipe["attention"] == "sdpa" for recipe in asked)


def test_no_runs_start_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(sensitivity_leaks, "run_trials")
    assert measure_leaks(LEAK, 0, CONSOLE) == []
