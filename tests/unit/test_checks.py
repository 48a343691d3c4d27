import importlib
import re

import pytest

from harness import checks
from harness.checks import Check, Context, all_checks, judge, judge_all
from harness.verdict import Outcome, cell_outcome
from tests.unit.records import make_record

JUDGED = {
    "base_weights",
    "completed",
    "determinism",
    "eval_loss_moves",
    "evaluation_complete",
    "label_leak",
    "memory",
    "throughput",
    "training_applied",
}


def test_every_check_is_found_and_completed_comes_first() -> None:
    names = [check.name for check in all_checks()]

    assert set(names) >= JUDGED
    assert names[0] == "completed"
    assert names[1:] == sorted(names[1:])
    assert not any(name.startswith("_") for name in names)


@pytest.mark.parametrize("check", all_checks(), ids=lambda check: check.name)
def test_check_is_named_after_its_module_and_says_what_it_exists_for(check: Check) -> None:
    module = importlib.import_module(f"harness.checks.{check.name}")

    assert check.summary.endswith(".")
    assert re.search(r"#\d+", module.__doc__ or "")
    assert module.judge(make_record(), Context()).check == check.name


@pytest.mark.parametrize("status", ["CRASHED", "OOM", "TIMEOUT", "INFRA"])
def test_unfinished_run_is_judged_by_completed_alone(status: str) -> None:
    verdicts = judge_all(make_record(status=status), Context())

    assert verdicts[0].outcome is Outcome(status)
    assert {v.outcome for v in verdicts[1:]} == {Outcome.SKIPPED}
    assert cell_outcome(verdicts) is Outcome(status)


@pytest.mark.parametrize("name", sorted(JUDGED))
def test_verdict_names_the_cell(name: str) -> None:
    check = next(check for check in all_checks() if check.name == name)

    assert judge(check, make_record(), Context()).cell_id == make_record().cell_id


def test_verdict_takes_evidence_by_name() -> None:
    verdict = checks.verdict("c", make_record(), Outcome.PASS, "fine", figure=1.5)

    assert verdict.evidence == {"figure": 1.5}
