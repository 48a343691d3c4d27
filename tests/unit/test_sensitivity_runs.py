"""Pairs for `harness sensitivity`: balanced, kept, resumed, within their time; and the command."""

import math
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import ClassVar, Self

import pytest
from rich.console import Console
from typer.testing import CliRunner

from harness.cli import main as cli
from harness.experiment import Experiment
from harness.matrix import Overrides
from harness.plan import Options, Plan
from harness.sensitivity import runs as sensitivity_runs
from harness.sensitivity.pool import Block
from harness.sensitivity.rates import KINDS, SIZES
from harness.sensitivity.runs import Source, measure_pairs
from tests.unit.pools import pool

CELL = "reference-2026.10.9/cpu/float32/mild"
STEP_S = 0.1


@dataclass(frozen=True)
class Turn:
    steps_s: Sequence[float]
    evaluation_s: float | None = None


class FakePaced:
    """Takes a tenth of a second a step, and what it is told to take on top, on a clock of its own."""

    started: ClassVar[list[str]] = []
    now: ClassVar[float] = 0.0
    start_s = 1.0
    nice = 0

    def __init__(self, experiment: Experiment, python: Path, cores: Sequence[int] = ()) -> None:
        assert experiment.fault_file is not None
        self.started.append(experiment.fault_file.stem)

    def order(self, steps: int = 0, *, evaluate: bool = False, level: float = 0.0) -> Turn:
        FakePaced.now += steps * (STEP_S + level)
        return Turn([STEP_S + level] * steps, STEP_S if evaluate else None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        pass


@pytest.fixture(autouse=True)
def fakes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HARNESS_REPORTS", str(tmp_path))
    monkeypatch.setattr(FakePaced, "started", [])
    monkeypatch.setattr(FakePaced, "now", 0.0)
    monkeypatch.setattr(sensitivity_runs, "Paced", FakePaced)
    monkeypatch.setattr(sensitivity_runs, "build_inputs", lambda experiment, say: Path("python"))
    clock = SimpleNamespace(monotonic=lambda: FakePaced.now)
    monkeypatch.setattr("harness.sensitivity.runs.time", clock)


def measured(wanted: int, minutes: float | None = None, *, fresh: bool = False) -> list[Block]:
    plan = Plan(Options(overrides=Overrides()))
    source = Source.of(plan, plan.matrix.cell(CELL))
    return measure_pairs(source, wanted, Console(file=StringIO()), minutes=minutes, fresh=fresh)


def test_every_pair_measures_every_size_as_it_was_injected() -> None:
    blocks = measured(2)
    assert [block.size for block in blocks] == [*SIZES, *SIZES]
    for block in blocks:
        assert block.sides.log_ratio == pytest.approx(math.log1p(block.size), abs=1e-9)


def test_kinds_and_the_slowed_side_are_balanced() -> None:
    blocks = measured(12)
    assert Counter((b.kind, b.slowed) for b in blocks if not b.size) == {
        (kind, side): 2 for kind in KINDS for side in "ab"
    }


def test_finished_pairs_are_kept_and_not_measured_again() -> None:
    first = measured(2)
    FakePaced.started.clear()
    both = measured(3)
    assert both[: len(first)] == first
    assert len(FakePaced.started) == 2
    assert {block.pair for block in both} == {0, 1, 2}


def test_fresh_measures_all_again() -> None:
    measured(1)
    FakePaced.started.clear()
    measured(1, fresh=True)
    assert len(FakePaced.started) == 2


def test_no_pair_is_started_that_would_not_be_finished_in_time() -> None:
    measured(1)
    one = FakePaced.now
    # What is kept costs nothing; of three more, the third would end after the time.
    assert len({block.pair for block in measured(24, minutes=2.9 * one / 60)}) == 3


def test_the_command_tells_what_the_pool_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sensitivity_runs, "measure_pairs", lambda *args, **kwargs: pool())
    result = CliRunner().invoke(cli.app, ["sensitivity", "--sequences", "30", "--leaks", "0"])
    assert result.exit_code == 0, result.output
    (table,) = tmp_path.glob("runs/sensitivity-*/sensitivity.md")
    text = table.read_text(encoding="utf-8")
    assert "pyperf --min-speed 3" in text
    assert "24 process pairs of reference-2026" in text


def test_ctrl_c_keeps_finished_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(sensitivity_runs, "measure_pairs", interrupted)
    result = CliRunner().invoke(cli.app, ["sensitivity", "--leaks", "0"])
    assert result.exit_code == 2
    assert "finished pairs are kept" in result.output


def test_without_the_other_tools_the_command_says_how_to_get_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delitem(sys.modules, "harness.sensitivity.comparators", raising=False)
    monkeypatch.setitem(sys.modules, "asv.commands.compare", None)
    result = CliRunner().invoke(cli.app, ["sensitivity"], terminal_width=200)
    assert result.exit_code == 2
    assert "nox -s sensitivity" in result.output
