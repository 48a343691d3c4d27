"""Records in a real MLflow server on the loopback interface, read back through MLflow's own client."""

import math
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow.tracking import MlflowClient
from typer.testing import CliRunner

from harness import reports
from harness.cli.main import app
from harness.reports import SUMMARY_NAME
from harness.tracking.tracked import track
from tests.unit.gate_results import cell, gate, mixed
from tests.unit.records import NAN, make_record


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("mlflow")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--workers", "1", "--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
    command += ["--artifacts-destination", str(folder / "artifacts")]
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    uri = f"http://127.0.0.1:{port}"
    try:
        _wait(uri, process, folder / "log")
        yield uri
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait(uri: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{uri}/health", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    pytest.fail(f"the server did not start:\n{log.read_text(errors='replace')[-2000:]}")


def test_records_are_runs_with_their_curves(server: str, tmp_path: Path) -> None:
    nan = cell(make_record(cell_id="unsloth-2026.10.9/t4-emulated/auto/hot", key="feedfeedfeed",
                           evaluations=[NAN, NAN, NAN, NAN]))  # fmt: skip
    result = gate(*mixed().cells, nan)
    reports.write(result, tmp_path / "a-run")
    command = ["export", "mlflow", str(tmp_path / "a-run"), "--uri", server, "--experiment", "gate"]

    first, second = (CliRunner().invoke(app, command) for _ in range(2))

    assert first.exit_code == second.exit_code == 0, first.output + second.output
    wanted = track(result.cells)
    assert f"{len(wanted)} of {len(wanted)} runs written" in first.output
    assert f"0 of {len(wanted)} runs written" in second.output

    client = MlflowClient(server)
    experiment = client.get_experiment_by_name("gate")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id])
    (parent,) = [run for run in runs if run.info.run_name == "a-run"]
    children = {run.data.tags["gate.identity"]: run for run in runs if run is not parent}
    assert set(children) == {run.identity for run in wanted}
    for run in wanted:
        read = children[run.identity]
        assert read.info.run_name == run.name
        assert read.info.status == ("FINISHED" if run.completed else "FAILED")
        assert read.data.params == run.parameters
        assert read.data.tags["mlflow.parentRunId"] == parent.info.run_id
        assert read.data.tags["gate.outcome"] == run.tags["outcome"]
        losses = [metric for metric in run.metrics if metric.name == "eval/loss"]
        history = sorted(
            client.get_metric_history(read.info.run_id, "eval/loss"), key=lambda m: m.step
        )
        assert [m.step for m in history] == [m.step for m in losses]
        for shown, metric in zip(history, losses, strict=True):
            assert shown.value == metric.value or (
                math.isnan(shown.value) and math.isnan(metric.value)
            )
    kept = client.download_artifacts(parent.info.run_id, SUMMARY_NAME, str(tmp_path))
    assert Path(kept).read_text() == (tmp_path / "a-run" / SUMMARY_NAME).read_text()
