"""How long it takes to query the records of many runs where they lie, and to find their changes.

nox -s benchmarks -- tests/benchmarks/test_history.py
"""

import time
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from harness.history.record_query import Found, find_runs
from harness.history.series import trace
from tests.benchmarks.runs_over_releases import CELLS, write_records

RUNS = 10_000


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reports")
    write_records(folder, RUNS)
    return folder


@pytest.mark.benchmark(group="history")
def test_query_10_000_records(benchmark: BenchmarkFixture, reports: Path) -> None:
    # The first round is a first call, as a user's is; only the packages are imported before.
    import duckdb  # noqa: F401
    import numpy as np  # noqa: F401

    spent: list[float] = []

    def query() -> Found:
        begun = time.process_time()
        found = find_runs(reports)
        spent.append(time.process_time() - begun)
        return found

    found = benchmark.pedantic(query, rounds=5)

    assert len(found.runs) == RUNS
    # CPU time, of all threads, since another load must not turn it red.
    assert max(spent) < 2.0


@pytest.mark.benchmark(group="history")
def test_find_changes_in_10_000_runs(benchmark: BenchmarkFixture, reports: Path) -> None:
    found = find_runs(reports)
    trends = benchmark.pedantic(trace, [found], rounds=2, warmup_rounds=1)

    steps = [t for s in trends.series for t in s.trends if t.figure == "steps_per_s"]
    assert len(steps) == CELLS
    assert all(trend.changes for trend in steps)
