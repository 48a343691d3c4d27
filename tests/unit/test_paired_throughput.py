"""The runner of process pairs, with stand-ins for the processes."""

import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from harness.errors import CorruptRecordError, SelectionError
from harness.experiment import Experiment
from harness.locations import reports_dir
from harness.plan import Options, Plan
from harness.reports.throughput import markdown, render
from harness.throughput import pairs as paired_throughput
from harness.throughput.answer import Answer
from harness.throughput.pairs import Contest, compare, is_decided, kept_answers
from harness.throughput.sequential import Design

A = "reference-2026.10.9/cpu/float32/mild"
B = "unsloth-2026.10.9/cpu/float32/mild"


@dataclass
class Took:
    steps_s: tuple[float, ...]
    evaluation_s: float | None


@dataclass
class Machine:
    """What stands in for processes: how long B takes for a second of A's, and who was started."""

    step_b: float = 1.0
    evaluation_b: float = 1.0
    start_b: float = 1.0
    spread: tuple[float, ...] = (1.0, 1.01, 0.99, 1.005)
    started: list[str] = field(default_factory=list)
    closed: int = 0
    interrupt_after: int | None = None

    def process(self, experiment: Experiment, python: Path, cores: list[int]) -> "Process":
        if self.interrupt_after == len(self.started) // 2:
            raise KeyboardInterrupt
        self.started.append(experiment.cell.id)
        is_b = experiment.cell.id == B
        luck = self.spread[(len(self.started) - 1) // 2 % len(self.spread)] if is_b else 1.0
        return Process(self, is_b, luck)


@dataclass
class Process:
    machine: Machine
    is_b: bool
    luck: float
    nice: int = 0

    @property
    def start_s(self) -> float:
        return 10 * (self.machine.start_b if self.is_b else 1.0)

    def order(self, steps: int = 0, *, evaluate: bool = False, level: float = 0.0) -> Took:
        step = self.luck * (self.machine.step_b if self.is_b else 1.0) + level
        evaluation = self.luck * (self.machine.evaluation_b if self.is_b else 1.0)
        return Took((step,) * steps, evaluation if evaluate else None)

    def __enter__(self) -> "Process":
        return self

    def __exit__(self, *_: object) -> None:
        self.machine.closed += 1


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Machine]:
    made = Machine()
    monkeypatch.setenv("HARNESS_REPORTS", str(tmp_path))
    monkeypatch.setattr(paired_throughput, "Paced", lambda *given: made.process(*given))
    monkeypatch.setattr(paired_throughput, "build_inputs", lambda *_: Path("python"))
    yield made
    assert made.closed == len(made.started)


def contest(a: str = A, b: str = B, **given: Any) -> Contest:
    plan = Plan(Options())
    first, second = (plan.once(plan.matrix.cell(cell)).experiment for cell in (a, b))
    return Contest(first, second, **given)


def run(asked: Contest, *, fresh: bool = False) -> Answer:
    return compare(asked, Console(file=io.StringIO()), fresh=fresh)


def test_as_fast_ends_at_the_first_look_with_0(machine: Machine) -> None:
    answer = run(contest())
    assert answer.decisions["step"].outcome == "NOT_SLOWER"
    assert (len(answer.series.pairs), answer.exit_code) == (4, 0)
    assert "times as long as A's" in answer.sentence


def test_slower_ends_with_1_and_says_by_how_much(machine: Machine) -> None:
    machine.step_b = 1.25
    answer = run(contest())
    assert answer.exit_code == 1
    assert answer.decisions["step"].ratio == pytest.approx(1.25, rel=0.02)
    assert "training step takes 1.2" in answer.sentence


def test_faster_is_not_slower(machine: Machine) -> None:
    machine.step_b = 0.8
    assert run(contest()).exit_code == 0


@pytest.mark.parametrize("figure", ["evaluation", "start_up"])
def test_other_figures_turn_it_red_without_asking_for_more_pairs(
    machine: Machine, figure: str
) -> None:
    setattr(machine, "start_b" if figure == "start_up" else "evaluation_b", 1.5)
    answer = run(contest())
    assert (answer.slower, len(answer.series.pairs), answer.exit_code) == ([figure], 4, 1)


def test_undecided_at_the_end_of_the_budget_is_no_answer(machine: Machine) -> None:
    machine.spread = (1.3, 0.7, 1.2, 0.8)
    answer = run(contest())
    assert answer.decisions["step"].outcome == "UNDECIDED"
    assert (len(answer.series.pairs), answer.exit_code) == (10, 19)
    assert "do not tell" in answer.sentence


def test_who_is_started_first_alternates(machine: Machine) -> None:
    run(contest())
    assert machine.started == [A, B, B, A] * 2


def test_an_injected_slowdown_is_found(machine: Machine) -> None:
    assert run(contest(slowdown=0.1)).decisions["step"].ratio == pytest.approx(1.1, rel=0.02)


def test_pairs_are_kept_after_an_interruption_and_not_measured_again(machine: Machine) -> None:
    machine.interrupt_after = 3
    with pytest.raises(KeyboardInterrupt):
        run(contest())
    machine.interrupt_after = None
    kept = list(machine.started)
    assert len(run(contest()).series.pairs) == 4
    assert len(machine.started) == len(kept) + 2
    # A finished comparison measures nothing more; a fresh one everything.
    assert run(contest()).exit_code == 0
    assert len(machine.started) == len(kept) + 2
    run(contest(), fresh=True)
    assert len(machine.started) == len(kept) + 2 + 8


def test_another_slowdown_or_other_cells_are_another_comparison(machine: Machine) -> None:
    files = {contest().file, contest(slowdown=0.1).file, contest(b=A).file, contest(B, A).file}
    assert len(files) == 4
    assert contest(design=Design(max_pairs=6)).file == contest().file


def test_a_kept_file_that_cannot_be_read_is_named(machine: Machine) -> None:
    file = contest().file
    file.parent.mkdir(parents=True)
    file.write_text('{"pairs": 3}')
    with pytest.raises(CorruptRecordError, match="--fresh"):
        run(contest())


@pytest.mark.parametrize(
    ("b", "says"),
    [
        ("reference-2026.10.9/cpu/float32/hot", "recipe"),
        ("unsloth-2026.10.9/t4-emulated/auto/mild", "hardware"),
    ],
)
def test_two_workloads_are_not_compared(b: str, says: str) -> None:
    with pytest.raises(SelectionError, match=says):
        contest(b=b)


def test_the_table_says_what_stands_behind_the_answer(machine: Machine) -> None:
    answer = run(contest())
    text = io.StringIO()
    Console(file=text, width=200).print(render(answer))
    document = markdown(answer, "harness compare")
    for said in ("training step", "evaluation", "start-up", "4 process pairs"):
        assert said in text.getvalue()
        assert said in document
    assert "SLOWER where no change is rejected" in document


def test_the_table_fits_80_columns(machine: Machine) -> None:
    text = io.StringIO()
    Console(file=text, width=80).print(render(run(contest())))
    (row,) = [line for line in text.getvalue().splitlines() if line.startswith("training step")]
    assert "NOT SLOWER" in row
    assert "%" in row


def test_emulated_hardware_is_labelled(machine: Machine) -> None:
    cells = ["unsloth-2026.10.8/t4-emulated/auto/mild", "unsloth-2026.10.9/t4-emulated/auto/mild"]
    assert "emulated: the times are not the card" in markdown(run(contest(*cells)), "c")


def test_pairs_are_decided_when_a_look_is_clear_or_none_is_left(machine: Machine) -> None:
    asked = contest()
    assert not is_decided(asked)
    machine.interrupt_after = 2
    with pytest.raises(KeyboardInterrupt):
        run(asked)
    assert not is_decided(asked)
    machine.interrupt_after = None
    run(asked)
    assert is_decided(asked)


def test_pairs_that_do_not_tell_are_decided_at_the_last_look(machine: Machine) -> None:
    machine.spread = (0.8, 1.25)
    asked = contest(design=Design(max_pairs=4))
    assert run(asked).exit_code == 19
    assert is_decided(asked)


def test_pairs_that_another_machine_kept_are_told_again(machine: Machine) -> None:
    answer = run(contest())
    (again,) = kept_answers(reports_dir())
    assert again.sentence == answer.sentence
    assert kept_answers(reports_dir() / "records") == []
