"""Paired throughput as a verdict of the newer cell, and what it makes of an upgrade."""

import io
from typing import Any

import pytest
from rich.console import Console

from harness.cell_options import CellOptions
from harness.cell_result import CellResult
from harness.errors import PacedRunError
from harness.plan import Options, Plan
from harness.throughput import gate as upgrade_throughput
from harness.throughput.answer import Answer, Series
from harness.throughput.gate import CHECK, comparable, keep, kept, verdict_of, with_throughput
from harness.throughput.pairs import Contest
from harness.throughput.sequential import decide
from harness.throughput.turns import Figure
from harness.upgrades import StepVerdict, steps
from harness.verdict import Outcome
from tests.unit.gate_results import gate, on_release

RELEASES = ("2026.10.8", "2026.10.9")
EQUAL = (-0.01, 0.0, 0.01, 0.0)
UNCLEAR = (0.3, -0.3) * 5


def native(release: str, outcome: Outcome = Outcome.PASS, recipe: str = "mild") -> CellResult:
    cell_id = f"unsloth-{release}/cpu/auto/{recipe}"
    hardware: dict[str, Any] = {
        "name": "cpu",
        "kind": "native",
        "compute_capability": None,
        "replaced": [],
    }
    return on_release(release, outcome, recipe, cell_id=cell_id, hardware=hardware)


def answer(step: tuple[float, ...], **others: tuple[float, ...]) -> Answer:
    ratios: dict[Figure, tuple[float, ...]] = {"step": step, **others}  # type: ignore[dict-item]
    a, b = (f"unsloth-{release}/cpu/auto/mild" for release in RELEASES)
    series = Series(a=a, b=b, fault=None, slowdown=0.0, device="d", emulation="")
    return Answer(series, {figure: decide(said) for figure, said in ratios.items()})


def slower(by: float) -> tuple[float, ...]:
    return tuple(by + one for one in EQUAL)


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """The comparisons that were asked for; each finds the newer release 20 % slower."""
    asked = []

    def compare(contest: Contest, *_: Any, **__: Any) -> Answer:
        asked.append((contest.a.cell.id, contest.b.cell.id))
        return answer(slower(0.2))

    monkeypatch.setattr(upgrade_throughput, "compare", compare)
    return asked


def run(cells: list[CellResult]) -> list[CellResult]:
    return with_throughput(Plan(Options()), cells, Console(file=io.StringIO()))


@pytest.mark.parametrize(
    ("said", "outcome"),
    [
        (answer(EQUAL), Outcome.PASS),
        (answer(slower(0.2)), Outcome.FAIL),
        (answer(EQUAL, evaluation=slower(0.3)), Outcome.FAIL),
        (answer(UNCLEAR), Outcome.SKIPPED),
    ],
    ids=["equal", "slower", "slower evaluation", "undecided"],
)
def test_only_a_clear_answer_is_green_or_red(said: Answer, outcome: Outcome) -> None:
    verdict = verdict_of(said)
    assert (verdict.check, verdict.outcome) == (CHECK, outcome)
    assert verdict.evidence["step"]["pairs"] == said.decisions["step"].pairs
    assert bool(verdict.advice) == outcome.is_red


def test_the_advice_is_a_whole_command() -> None:
    (advice,) = verdict_of(answer(slower(0.2)), CellOptions(matrix="my m.toml")).advice
    assert f"harness explain unsloth-{RELEASES[0]}/cpu/auto/mild" in advice
    assert "/mild --matrix 'my m.toml' names" in advice


def test_a_slower_release_is_no_safe_upgrade(compared: list[tuple[str, str]]) -> None:
    cells = run([native(release) for release in RELEASES])
    assert compared == [tuple(f"unsloth-{release}/cpu/auto/mild" for release in RELEASES)]
    assert [cell.outcome for cell in cells] == [Outcome.PASS, Outcome.FAIL]
    assert [step.verdict for step in steps(cells)] == [StepVerdict.NOT_SAFE]
    assert gate(*cells).exit_code == 1


def test_a_side_that_ends_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def compare(*_: Any, **__: Any) -> Answer:
        raise PacedRunError("it ended during a step")

    monkeypatch.setattr(upgrade_throughput, "compare", compare)
    cells = run([native(release) for release in RELEASES])
    assert cells[1].verdicts[-1].outcome is Outcome.INFRA
    assert gate(*cells).exit_code == 19


@pytest.mark.parametrize(
    "cells",
    [
        [on_release(release) for release in RELEASES],
        [native(RELEASES[0], Outcome.FAIL), native(RELEASES[1])],
        [native(RELEASES[0]), native(RELEASES[1], Outcome.TIMEOUT)],
        [native(RELEASES[1])],
    ],
    ids=["emulated", "red before", "no answer now", "one release"],
)
def test_what_cannot_be_compared_is_left_as_it_is(
    cells: list[CellResult], compared: list[tuple[str, str]]
) -> None:
    assert run(cells) == cells
    assert not compared


def test_of_a_hardware_and_dtype_one_recipe_is_compared() -> None:
    cells = [native(release, recipe=recipe) for recipe in ("mild", "hot") for release in RELEASES]
    assert [(old.record.cell_id, new.record.cell_id) for old, new in comparable(cells)] == [
        ("unsloth-2026.10.8/cpu/auto/mild", "unsloth-2026.10.9/cpu/auto/mild")
    ]


def test_judging_records_again_keeps_what_pairs_said(compared: list[tuple[str, str]]) -> None:
    before = [native(release) for release in RELEASES]
    assert keep(kept(run(before)), before) == run(before)
