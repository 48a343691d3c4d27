from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from typer.testing import CliRunner

from harness import reports
from harness.cell_result import CellResult
from harness.cli.main import app
from harness.errors import TrackingError
from harness.tracking import to_mlflow, to_tensorboard
from harness.tracking.tracked import Tracked, infinite, track
from tests.unit.gate_results import frozen, gate, hostile, mixed
from tests.unit.records import EVAL_LOSSES, STEPS, make_record


def one(result: CellResult) -> Tracked:
    (found,) = track([result])
    return found


def test_a_record_is_its_parameters_findings_and_curves() -> None:
    run = one(CellResult(record=make_record(), verdicts=[]))

    assert run.name == "unsloth-2026.10.9/cpu/float32/mild"
    assert run.parameters["recipe.batch_size"] == "4"
    assert run.parameters["package.transformers"] == "5.17.0"
    assert run.tags["hardware_kind"] == "native"
    assert [m.value for m in run.metrics if m.name == "eval/loss"] == list(EVAL_LOSSES)
    assert sum(m.name == "train/loss" for m in run.metrics) == STEPS
    assert run.completed
    assert run.ended > run.started


def test_a_repeat_is_a_run_of_its_own() -> None:
    repeat = make_record(repeat=1)
    first, second = track([CellResult(record=make_record(), repeats=[repeat], verdicts=[])])

    assert first.identity != second.identity
    assert first.name == second.name


def test_emulated_is_said_and_every_verdict_kept() -> None:
    run = one(frozen())

    assert run.tags["hardware_kind"] == "emulated"
    assert run.tags["outcome"] == "FAIL"
    assert run.tags["check.eval_loss_moves"].startswith("FAIL: ")


def test_infinities_are_told_by_step() -> None:
    record = make_record(evaluations=[6.7, float("inf"), float("nan"), 6.1])
    metrics = one(CellResult(record=record, verdicts=[])).metrics

    assert infinite(metrics) == {"eval/loss": "infinite at steps 10"}


def test_tensorboard_reads_back_what_was_written(tmp_path: Path) -> None:
    runs = track(mixed().cells)
    folders = to_tensorboard.export(runs, tmp_path)
    # Again: in place of the first.
    assert to_tensorboard.export(runs, tmp_path) == folders

    for run, folder in zip(runs, folders, strict=True):
        assert len(list(folder.iterdir())) == 1
        read = EventAccumulator(str(folder), size_guidance={"scalars": 0})
        read.Reload()
        assert set(read.Tags()["scalars"]) == {metric.name for metric in run.metrics}
        losses = [metric for metric in run.metrics if metric.name == "eval/loss"]
        if losses:
            shown = [(e.step, e.value) for e in read.Scalars("eval/loss")]
            assert shown == [
                (m.step, pytest.approx(m.value, rel=1e-6, nan_ok=True)) for m in losses
            ]


def test_a_hostile_record_is_text_and_stays_below_the_folder(tmp_path: Path) -> None:
    for folder in to_tensorboard.export(track(hostile().cells), tmp_path / "out"):
        assert folder.parent == tmp_path / "out"


def test_a_server_that_is_not_there_is_told_without_its_password(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(TrackingError) as caught:
        to_mlflow.export(track(mixed().cells), "http://me:secret@127.0.0.1:9", "gate")

    assert "127.0.0.1:9" in str(caught.value)
    assert "secret" not in str(caught.value)


def test_the_command_exports_a_run(tmp_path: Path) -> None:
    reports.write(gate(*mixed().cells), tmp_path / "run")

    done = CliRunner().invoke(
        app, ["export", "tensorboard", str(tmp_path / "run"), "--out", str(tmp_path / "logs")]
    )

    assert done.exit_code == 0, done.output
    assert len(list((tmp_path / "logs").iterdir())) == len(track(mixed().cells))
