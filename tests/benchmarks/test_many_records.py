"""What the harness costs with many records: read, judge, and write each file of a report.

nox -s benchmarks -- tests/benchmarks/test_many_records.py
"""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from xml.etree import ElementTree

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from harness import reports
from harness.checks import all_checks
from harness.gate import GateResult, judge_cells
from harness.record import read_record
from harness.reports import benchmark as benchmark_file
from harness.reports import html, markdown, releases
from harness.reports.releases import ReleasesView
from tests.benchmarks.many_records import many_cells, many_records

AMOUNTS = pytest.mark.parametrize("amount", [500, 1_000, 10_000])
ROUNDS = {500: 3, 1_000: 3, 10_000: 1}


@cache
def judged(amount: int) -> tuple[GateResult, ReleasesView]:
    result = many_cells(amount)
    return result, releases.view(result)


@pytest.fixture(scope="module", autouse=True)
def forget() -> Iterator[None]:
    yield
    judged.cache_clear()


@AMOUNTS
@pytest.mark.benchmark(group="read records")
def test_read(benchmark: BenchmarkFixture, amount: int, tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.json" for number in range(amount)]
    for path, record in zip(paths, many_records(amount), strict=True):
        path.write_text(record.model_dump_json(indent=1))
    benchmark.extra_info["bytes_per_record"] = paths[0].stat().st_size

    read = benchmark.pedantic(lambda: [read_record(path) for path in paths], rounds=ROUNDS[amount])
    assert len(read) == amount


@AMOUNTS
@pytest.mark.benchmark(group="judge records")
def test_judge(benchmark: BenchmarkFixture, amount: int) -> None:
    records = list(many_records(amount))

    cells = benchmark.pedantic(
        lambda: judge_cells((record, False) for record in records), rounds=ROUNDS[amount]
    )
    assert len(cells) == amount
    assert {cell.outcome for cell in cells} == {"PASS", "FAIL"}


@AMOUNTS
@pytest.mark.benchmark(group="compare releases")
def test_compare_releases(benchmark: BenchmarkFixture, amount: int) -> None:
    result, _ = judged(amount)

    view = benchmark.pedantic(lambda: releases.view(result), rounds=ROUNDS[amount])
    assert len(view.steps) == 9


@AMOUNTS
@pytest.mark.benchmark(group="write report.html")
def test_html(benchmark: BenchmarkFixture, amount: int) -> None:
    result, view = judged(amount)

    page = benchmark.pedantic(lambda: html.render(result, comparison=view), rounds=ROUNDS[amount])
    assert len(page.encode()) <= html.MAX_BYTES


@AMOUNTS
@pytest.mark.benchmark(group="write summary.md")
def test_markdown(benchmark: BenchmarkFixture, amount: int) -> None:
    result, view = judged(amount)

    text = benchmark.pedantic(
        lambda: markdown.render(result, comparison=view), rounds=ROUNDS[amount]
    )
    assert f"{amount} cells" in text


@AMOUNTS
@pytest.mark.benchmark(group="write benchmark.json")
def test_benchmark_file(benchmark: BenchmarkFixture, amount: int) -> None:
    result, _ = judged(amount)

    text = benchmark.pedantic(lambda: benchmark_file.render(result), rounds=ROUNDS[amount])
    assert len(json.loads(text)["benchmarks"]) == 2 * amount


@AMOUNTS
@pytest.mark.benchmark(group="write the whole folder")
def test_folder(benchmark: BenchmarkFixture, amount: int, tmp_path: Path) -> None:
    result, _ = judged(amount)

    benchmark.pedantic(lambda: reports.write(result, tmp_path), rounds=ROUNDS[amount])
    assert len(reports.load(tmp_path).cells) == amount


@pytest.mark.benchmark(group="one pytest test for each check, with JUnit")
def test_gate_session(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    junit, amount = tmp_path / "junit.xml", 1_000
    command = [sys.executable, "-m", "pytest", "-q", "-rN", "--tb=line", "-p", "no:cacheprovider"]
    command += ["-p", "tests.benchmarks.gate_session", f"--junitxml={junit}", "tests/matrix"]

    def session() -> None:
        subprocess.run(
            command, env={**os.environ, "GATE_CELLS": str(amount)}, capture_output=True, check=False
        )

    benchmark.pedantic(session, rounds=1)
    suite = ElementTree.parse(junit).getroot()[0]
    assert int(suite.attrib["tests"]) == amount * len(all_checks())
    assert int(suite.attrib["failures"]) > 0
    assert int(suite.attrib["errors"]) == 0
