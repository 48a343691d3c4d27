"""A real search over the registry's history, for a fault whose release and package are known."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from harness.bisect.bisection import Bisection, Question
from harness.bisect.run import bisect
from harness.bisect.search import Answer
from harness.plan import Options, Plan

FAULT = Path(__file__).with_name("frozen_from_release.py")
# Small: a search needs the answer, not the curve.
CELL = "a100-emulated/auto/mild+train_rows=16+eval_rows=8+generate_rows=0"

pytestmark = pytest.mark.trains


def search() -> tuple[Bisection, list[str]]:
    question = Question(
        good="2026.10.7",
        bad="2026.10.9",
        family="unsloth",
        cell=CELL,
        checks=["training_applied"],
        fault=FAULT.stem,
    )
    said: list[str] = []
    console = Console(file=io.StringIO())
    return bisect(Plan(Options(fault=FAULT)), question, console, said.append), said


@pytest.fixture(scope="module")
def found() -> Bisection:
    return search()[0]


def test_the_release_that_brought_the_fault_is_found(found: Bisection) -> None:
    assert (found.before, found.after) == ("2026.10.7", "2026.10.8")
    assert found.exit_code == 0
    assert [probe.answer for probe in found.probes] == [Answer.GOOD, Answer.BAD, Answer.BAD]


def test_a_release_without_a_shipped_lock_is_as_of_its_day(found: Bisection) -> None:
    (first,) = (probe for probe in found.probes if probe.what == "2026.10.7")
    assert first.stack.startswith("2026.10.7@")


def test_of_its_packages_unsloth_did_it(found: Bisection) -> None:
    assert found.packages is not None
    assert found.packages.sentence.startswith(
        "unsloth 2026.10.7 -> 2026.10.8, alone sufficient and necessary"
    )


def test_a_second_search_runs_nothing(found: Bisection) -> None:
    again, _ = search()
    assert again.cells == 0
    assert (again.sentence, again.packages and again.packages.sentence) == (
        found.sentence,
        found.packages and found.packages.sentence,
    )
