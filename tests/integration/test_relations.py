"""Relations over real runs: they hold for what ships, and a fault violates them."""

import io
from collections.abc import Iterator

import pytest
from rich.console import Console

from harness.faults.catalogue import read_catalogue
from harness.faults.trials import Finding, run_trials
from harness.plan import Options, Plan
from harness.relation_settings import read_settings
from harness.relation_trials import run_relations, select
from harness.verdict import Outcome

REFERENCE = "reference-2026.10.9/cpu/float32/ragged"
UNSLOTH = "unsloth-2026.10.9/cpu/float32/ragged"
QUIET = Console(file=io.StringIO())

pytestmark = pytest.mark.trains


@pytest.fixture(scope="module")
def plan() -> Iterator[Plan]:
    made = Plan(Options(preloaded=True))
    yield made
    made.close()


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("accumulation", REFERENCE),
        ("attention", REFERENCE),
        ("evaluation_batch_size", REFERENCE),
        ("gradient_checkpointing", UNSLOTH),
        ("learning_rate", REFERENCE),
        ("padding", UNSLOTH),
        ("parity", UNSLOTH),
    ],
)
def test_the_current_release_holds(plan: Plan, name: str, cell: str) -> None:
    (trial,) = run_relations(select([name]), [plan.matrix.cell(cell)], plan, read_settings(), QUIET)
    assert trial.verdict.outcome is Outcome.PASS, trial.verdict.message


def test_a_fault_that_no_single_run_shows_is_detected_between_runs() -> None:
    catalogue = read_catalogue()
    names = ("gradients_not_averaged", "deaf_to_learning_rate", "stale_inv_freq")
    trials = run_trials(catalogue.select(names), [], QUIET)
    for trial in trials.faults:
        assert trial.finding is Finding.DETECTED, trial.problem
        assert trial.red == (trial.fault.check,)
