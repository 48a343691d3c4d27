import csv
import io
import json
import math
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pytest_benchmark.stats import Stats
from rich.console import Console

from harness import reports
from harness.dispatch.dispatcher import Result
from harness.gate import CellResult, GateResult
from harness.plan import Options, Plan, run_gate
from harness.record import Record
from harness.reports import benchmark
from harness.verdict import Outcome
from tests.unit.gate_results import cell, emulated, ended, gate, mixed, verdicts
from tests.unit.records import make_record, steps

CELL = "unsloth-2026.10.9/cpu/float32/mild"


def rendered(*cells: CellResult) -> dict[str, Any]:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    data: dict[str, Any] = json.loads(benchmark.render(gate(*cells)), parse_constant=refuse)
    return data


def names(data: dict[str, Any]) -> list[str]:
    return [entry["name"] for entry in data["benchmarks"]]


def slower(by: float) -> GateResult:
    record = make_record(steps={"wall_s": [0.1 * by] * 30})
    return gate(cell(record))


def pytest_benchmark(*arguments: str | Path, cwd: Path) -> str:
    return subprocess.run(
        [sys.executable, "-m", "pytest_benchmark", *map(str, arguments)],
        cwd=cwd,
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    ).stdout


def test_rounds_are_the_steps_of_the_steady_window_and_the_later_evaluations() -> None:
    record = make_record()
    step, evaluation = rendered(cell(record))["benchmarks"]

    assert step["stats"]["data"] == [s.wall_s for s in record.steps[3:]]
    assert evaluation["stats"]["data"] == [e.wall_s for e in record.evaluations[1:]]
    assert (step["name"], evaluation["name"]) == (CELL, f"{CELL}[evaluation]")


def test_statistics_are_those_of_pytest_benchmark() -> None:
    entry, _ = rendered(cell())["benchmarks"]
    stats = Stats()
    stats.data = list(entry["stats"]["data"])

    said = {name: value for name, value in entry["stats"].items() if name in Stats.fields}
    assert said == stats.as_dict()
    assert entry["stats"]["median"] == statistics.median(stats.data)


def test_an_entry_carries_figures_outcomes_and_what_it_is_of() -> None:
    record = make_record()
    entry, _ = rendered(CellResult(record=record, verdicts=verdicts(record, Outcome.FAIL)))[
        "benchmarks"
    ]
    info = entry["extra_info"]

    assert info["outcome"] == "FAIL"
    assert info["verdicts"]["throughput"] == "UNCALIBRATED"
    assert info["figures"]["tokens_per_s"] == pytest.approx(1770, rel=0.02)
    assert info["figures"]["peak_rss.train"] == 900 << 20
    assert info["eval_loss"] == {"0": 6.74, "1": 4.73, "2": 4.38, "3": 4.27}
    assert entry["params"] == {
        "stack": "unsloth-2026.10.9",
        "hardware": "cpu",
        "dtype": "float32",
        "recipe": "mild",
        "measured": "training step",
    }


def test_what_was_emulated_says_so() -> None:
    cells = [cell(hardware=emulated(), cell_id="unsloth-2026.10.9/t4/auto/hot")]
    entry, _ = rendered(*cells)["benchmarks"]

    assert entry["extra_info"]["emulated"] == "emulated"
    assert "emulated" in entry["group"]
    assert entry["params"]["hardware"] == "t4 (emulated)"


@pytest.mark.parametrize(
    "changes",
    [
        {"recipe": {"learning_rate": 0.5}},
        {"dtype_request": "bfloat16"},
        {"hardware": {"device": "Another CPU"}},
        {"hardware": {"threads": 2}},
        {"hardware": {"parallel_cells": 2}},
        {"hardware": emulated()},
    ],
)
def test_another_experiment_is_another_group(changes: dict[str, Any]) -> None:
    one, other = rendered(cell())["benchmarks"][0], rendered(cell(**changes))["benchmarks"][0]

    assert one["group"] != other["group"]


def test_two_releases_of_one_experiment_are_in_one_group() -> None:
    stack = {"name": "unsloth-2026.10.8", "release": "2026.10.8", "lock_digest": "ffffffffffff"}
    one, other = rendered(cell())["benchmarks"][0], rendered(cell(stack=stack))["benchmarks"][0]

    assert one["group"] == other["group"]


@pytest.mark.parametrize("left_out", [{"fault": "slow_step"}, {"status": "OOM"}])
def test_a_fault_or_an_unfinished_run_is_no_benchmark(left_out: dict[str, Any]) -> None:
    data = rendered(cell(**left_out), cell(), ended("CRASHED", "RuntimeError"))

    assert names(data) == [CELL, f"{CELL}[evaluation]"]


def test_too_few_steady_steps_are_no_benchmark() -> None:
    enough, few = (make_record(steps=steps(n), evaluations=[6.0]) for n in (8, 7))

    assert names(rendered(cell(enough))) == [CELL]
    assert names(rendered(cell(few))) == []


def test_figures_that_are_not_finite_are_text() -> None:
    data = rendered(cell(evaluations=[6.0, math.nan, math.inf]))

    assert data["benchmarks"][0]["extra_info"]["eval_loss"] == {"0": 6.0, "1": "nan", "2": "inf"}


def test_machine_and_commit_are_those_of_the_run() -> None:
    told = {"machine_info": {"node": "there"}, "commit_info": {"id": "abc", "time": None}}
    data = json.loads(benchmark.render(mixed().model_copy(update=told)))

    assert {name: data[name] for name in told} == told
    assert data["datetime"] == mixed().started_at


def test_machine_and_commit_have_the_keys_that_pytest_benchmark_writes() -> None:
    assert {"node", "machine", "python_version", "cpu"} <= benchmark.machine_info().keys()
    assert {"id", "time", "dirty", "branch"} <= benchmark.commit_info().keys()


def test_its_compare_reads_two_runs(tmp_path: Path) -> None:
    for name, by in (("before", 1.0), ("after", 1.25)):
        reports.write(slower(by), tmp_path / name)
    files = ("before/benchmark.json", "after/benchmark.json")
    shown = pytest_benchmark("compare", *files, "--csv=out.csv", "--columns=median", cwd=tmp_path)
    rows = list(csv.DictReader((tmp_path / "out.csv").open()))

    assert f"{CELL} (before/benchmark)" in shown
    assert f"{CELL} (after/benchmark)" in shown
    assert "(1.25)" in shown
    assert [float(row["median"]) for row in rows if row["name"] == CELL] == [0.1, 0.125]


def test_its_list_finds_the_runs_of_a_folder(tmp_path: Path) -> None:
    reports.write(mixed(), tmp_path / "runs" / "one")
    listed = pytest_benchmark("--storage=runs", "list", cwd=tmp_path)

    assert "one/benchmark.json" in listed


def test_its_groups_can_be_made_of_parameters(tmp_path: Path) -> None:
    stack = {"name": "unsloth-2026.10.8", "release": "2026.10.8"}
    older: Record = make_record(cell_id="unsloth-2026.10.8/cpu/float32/mild", stack=stack)
    reports.write(gate(cell(), cell(older)), tmp_path)
    shown = pytest_benchmark(
        "compare", "benchmark.json", "--group-by=param:measured", "-k=not evaluation", cwd=tmp_path
    )

    assert "benchmark 'measured=training step': 2 tests" in shown


def test_a_gate_run_writes_it_with_machine_and_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_REPORTS", str(tmp_path))
    plan = Plan(Options())
    monkeypatch.setattr(
        plan, "execute", lambda runs, _: [Result(runs[0], make_record(), reused=False)]
    )
    _, folder = run_gate(plan, [plan.matrix.cell(CELL)], Console(file=io.StringIO()))
    data = json.loads((folder / "benchmark.json").read_text())

    assert names(data) == [CELL, f"{CELL}[evaluation]"]
    assert data["machine_info"]["cpu"]["count"] >= 1
    assert data["commit_info"] == json.loads(json.dumps(benchmark.commit_info()))
    assert reports.load(folder).commit_info == data["commit_info"]


def test_the_command_line_starts_without_it() -> None:
    code = "import sys, harness.cli.main; sys.exit('pytest_benchmark' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
