"""What the harness costs a cell: its wall time beside a bare script doing the same fine-tune.

nox -s benchmarks
"""

import io
import subprocess
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from rich.console import Console

from harness.experiment import build_inputs
from harness.gate import judge_cells
from harness.plan import Options, Plan
from harness.processes.surroundings import cell_environment

CELL = "unsloth-2026.10.9/cpu/float32/mild"
ROUNDS = 3


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    monkeypatch.setenv("HARNESS_REPORTS", str(tmp_path / "reports"))
    return Plan(Options(fresh=True, jobs=1))


@pytest.mark.benchmark(group="one cell")
def test_bare_script(benchmark: BenchmarkFixture, plan: Plan, tmp_path: Path) -> None:
    (run, *_) = plan.runs([plan.matrix.cell(CELL)])
    python = build_inputs(run.experiment, print)
    job, _ = run.experiment.write_job(tmp_path)
    script = Path(__file__).with_name("bare_finetune.py")

    def bare() -> None:
        subprocess.run(
            [python, script, job],
            env=cell_environment(tmp_path, 1),
            cwd=tmp_path,
            check=True,
            capture_output=True,
        )

    benchmark.pedantic(bare, rounds=ROUNDS, warmup_rounds=1)


@pytest.mark.benchmark(group="one cell")
def test_through_the_harness(benchmark: BenchmarkFixture, plan: Plan) -> None:
    (run, *_) = plan.runs([plan.matrix.cell(CELL)])

    def harness() -> None:
        (result,) = plan.execute([run], Console(file=io.StringIO()))
        judge_cells([(result.record, False)])

    benchmark.pedantic(harness, rounds=ROUNDS, warmup_rounds=1)
