"""Export to a real MLflow server on this machine, read back by MLflow's own client."""

import contextlib
import math
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")

from mlflow import MlflowClient
from mlflow.entities import Run

from harness import reports
from harness.cli.main import app
from harness.errors import TrackingError
from harness.gate import GateResult
from harness.locations import PACKAGE
from harness.tracking import to_mlflow
from harness.tracking.tracked import result_id, tracked_runs
from tests.unit.gate_results import cell, frozen, gate, mixed
from tests.unit.records import NAN, make_record

RECORDS = PACKAGE.parent / "reports" / "gpu" / "2026-11-26-nvidia-h200" / "records"
START_S, STOP_S = 120, 20


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server with a database of its own; ended with all its processes."""
    folder, port = tmp_path_factory.mktemp("mlflow"), free_port()
    uri = f"http://127.0.0.1:{port}"
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)),
        *("--workers", "1", "--backend-store-uri", f"sqlite:///{folder}/mlflow.db"),
        *("--artifacts-destination", str(folder / "artifacts")),
    ]
    environment = {
        **os.environ,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # It would start processes for what is no part of tracking.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=output, stderr=output,
            start_new_session=True,
        )  # fmt: skip
        try:
            _wait(process, uri, log)
            yield uri
        finally:
            _end(process)


def _wait(process: "subprocess.Popen[bytes]", uri: str, log: Path) -> None:
    limit = time.monotonic() + START_S
    while time.monotonic() < limit and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{uri}/health", timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    pytest.fail(f"no MLflow server after {START_S} s: {log.read_text()[-2000:]}")


def _end(process: "subprocess.Popen[bytes]") -> None:
    # Its workers may be of another process group.
    every = (
        [*psutil.Process(process.pid).children(recursive=True)] if process.poll() is None else []
    )
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
    for one in every:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()
    assert not psutil.wait_procs(every, timeout=STOP_S)[1]


@pytest.fixture
def client(server: str) -> MlflowClient:
    return MlflowClient(tracking_uri=server)


def runs_of(client: MlflowClient, experiment: str) -> list[Run]:
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    return list(client.search_runs([found.experiment_id]))


def children(client: MlflowClient, experiment: str) -> dict[str, Run]:
    runs = runs_of(client, experiment)
    return {r.data.tags["gate.identity"]: r for r in runs if "mlflow.parentRunId" in r.data.tags}


def history(client: MlflowClient, run: Run, name: str) -> list[tuple[int, float]]:
    return sorted((m.step, m.value) for m in client.get_metric_history(run.info.run_id, name))


def test_records_of_a_real_gpu_are_there_by_run_metric_param_and_tag(
    server: str, client: MlflowClient
) -> None:
    arguments = ["export", "mlflow", str(RECORDS), "--uri", server, "--experiment", "gpu"]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert "18 runs exported, 0 were there already" in done.output

    from harness.kept_records import judge_kept

    expected = {run.id: run for run in tracked_runs(judge_kept(RECORDS, "c"))}
    found = children(client, "gpu")
    assert found.keys() == expected.keys()
    for identity, run in expected.items():
        there = found[identity]
        assert there.info.run_name == run.name
        assert there.info.status == "FINISHED"
        assert there.data.params == run.params
        tags = {f"gate.{name}": text for name, text in run.tags.items()}
        assert tags.items() <= there.data.tags.items()
        assert there.info.start_time == int(run.started.timestamp() * 1000)
    identity, run = next(iter(expected.items()))
    for name, points in run.metrics.items():
        assert history(client, found[identity], name) == [(p.step, p.value) for p in points]

    again = CliRunner().invoke(app, arguments)
    assert "0 runs exported, 18 were there already" in again.output
    assert len(runs_of(client, "gpu")) == 19


def test_the_report_is_the_parents(server: str, client: MlflowClient, tmp_path: Path) -> None:
    result = mixed()
    reports.write(result, tmp_path)
    CliRunner().invoke(app, ["export", "mlflow", str(tmp_path), "--uri", server])

    runs = runs_of(client, "gemma-lora-gate")
    (parent,) = [r for r in runs if r.data.tags["gate.identity"] == result_id(result)]
    assert {
        r.data.tags["mlflow.parentRunId"] for r in children(client, "gemma-lora-gate").values()
    } == {parent.info.run_id}
    assert parent.data.tags["gate.verdict"] == "CRASHED"
    for name in (reports.PAGE_NAME, reports.SUMMARY_NAME):
        fetched = client.download_artifacts(parent.info.run_id, name, str(tmp_path))
        assert Path(fetched).read_bytes() == (tmp_path / name).read_bytes()


def test_what_is_not_finite_is_held_or_told(server: str, client: MlflowClient) -> None:
    to_mlflow.export(
        gate(cell(make_record(evaluations=[4.0, NAN, math.inf, -math.inf]))), server, "nan"
    )

    (run,) = children(client, "nan").values()
    values = history(client, run, "eval/loss")
    assert values[0] == (0, 4.0)
    assert [step for step, _ in values] == [0, 10]
    assert math.isnan(values[1][1])
    assert (
        run.data.tags["gate.non_finite.eval/loss"]
        == "nan at step 10; inf at step 20; -inf at step 30"
    )


def test_an_export_that_was_cut_off_is_finished_without_a_second_run(
    server: str, client: MlflowClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = mixed()
    log, calls = to_mlflow._log, []

    def cut_off(*arguments: object) -> None:
        calls.append(arguments)
        if len(calls) == 3:
            raise OSError("the line is dead")
        log(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as broken:
        broken.setattr(to_mlflow, "_log", cut_off)
        with pytest.raises(TrackingError, match="the line is dead"):
            to_mlflow.export(result, server, "cut")
    done = to_mlflow.export(result, server, "cut")

    assert len(done.present) == 2
    amount = len(tracked_runs(result))
    assert len(done.new) == amount - 2
    assert len(runs_of(client, "cut")) == amount + 1
    (run,) = [r for r in children(client, "cut").values() if r.info.run_name == done.new[0]]
    assert history(client, run, "train/loss")


def test_another_judgement_changes_the_tags_of_what_is_there(
    server: str, client: MlflowClient
) -> None:
    red = frozen()
    green = GateResult.model_validate(gate(red).model_dump())
    green.cells[0].verdicts = green.cells[0].verdicts[:1]
    to_mlflow.export(gate(red), server, "judged")
    assert {r.data.tags["gate.verdict"] for r in runs_of(client, "judged")} == {"FAIL"}
    to_mlflow.export(green, server, "judged")
    assert {r.data.tags["gate.verdict"] for r in runs_of(client, "judged")} == {"PASS"}


def test_no_server_is_an_error_of_its_own_without_the_password(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    reports.write(mixed(), tmp_path)
    uri = f"http://me:s3cret%21@127.0.0.1:{free_port()}"
    done = subprocess.run(
        [sys.executable, "-m", "harness", "export", "mlflow", str(tmp_path), "--uri", uri],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 23, done.stdout + done.stderr
    assert "the MLflow server at http://127.0.0.1:" in done.stderr
    assert not any(secret in done.stdout + done.stderr for secret in ("s3cret", "me:"))


@pytest.mark.parametrize(
    ("uri", "said"),
    [("", "no tracking server"), ("http://me:s3cret@[bad", "Invalid"), ("ftp://x", "ftp")],
)
def test_what_is_no_address_of_a_server_says_so(uri: str, said: str) -> None:
    with pytest.raises(TrackingError, match=said) as caught:
        to_mlflow.export(mixed(), uri, "x")
    assert "s3cret" not in str(caught.value)


def test_a_refusal_is_told_as_the_server_words_it(server: str) -> None:
    with pytest.raises(TrackingError, match="exceeds the maximum length of 500"):
        to_mlflow.export(mixed(), server, "x" * 1_000)
