"""What trackers are given, and what TensorBoard's own reader reads back."""

import math
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from typer.testing import CliRunner

from harness.cli.main import app
from harness.errors import InputError, MissingExtraError
from harness.record import write_record
from harness.tracking import to_mlflow, to_tensorboard
from harness.tracking.credentials import redacted, without_credentials
from harness.tracking.tracked import Point, TrackedRun, non_finite, result_id, tracked_runs
from tests.unit.gate_results import HOSTILE, cell, emulated, frozen, gate, mixed
from tests.unit.records import NAN, evaluations, make_record, steps

WORDS = st.text(st.sampled_from("abc123_-.~"), min_size=3)


def one(**changes: object) -> TrackedRun:
    return tracked_runs(gate(cell(make_record(**changes))))[0]


def curve(run: TrackedRun, name: str) -> list[tuple[int, float]]:
    return [(point.step, point.value) for point in run.metrics[name]]


def test_curves_are_by_step_and_figures_of_the_run_are_one_point() -> None:
    record = make_record()
    run = tracked_runs(gate(cell(record)))[0]

    assert curve(run, "train/loss") == [(s.step, s.loss) for s in record.steps]
    assert curve(run, "train/tokens_per_s")[0] == (1, record.steps[0].tokens / 0.4)
    assert curve(run, "eval/loss") == [(0, 6.74), (10, 4.73), (20, 4.38), (30, 4.27)]
    assert dict(curve(run, "eval/epoch"))[20] == 2.0
    assert curve(run, "figure/peak_rss.train") == [(0, float(900 << 20))]
    assert run.metrics["eval/loss"][1].elapsed_s == pytest.approx(
        sum(s.wall_s for s in record.steps[:10])
    )


def test_what_was_not_measured_is_left_out_and_never_zero() -> None:
    run = one(steps={"grad_norm": None}, evaluations=evaluations(4.0, None))
    assert "train/grad_norm" not in run.metrics
    assert curve(run, "eval/loss") == [(0, 4.0)]


def test_params_are_the_recipe_and_the_packages() -> None:
    params = one().params
    assert params["recipe.lora.r"] == "8"
    assert params["recipe.train_prefix"] == ""
    assert params["package.torch"] == "2.13.0"
    assert (params["stack"], params["hardware"], params["dtype"]) == (
        "unsloth-2026.10.9",
        "cpu",
        "float32",
    )


def test_tags_tell_the_verdict_and_what_ran() -> None:
    tags = tracked_runs(gate(frozen()))[0].tags
    assert tags["verdict"] == "FAIL"
    assert tags["check.eval_loss_moves"] == "FAIL: eval_loss_moves says FAIL with 1.25"
    assert tags["emulated"] == "emulated"
    assert tags["record_key"] == "0123456789ab"
    assert tags["rerun"] == "harness run unsloth-2025.3.14/t4/float16/hot"
    assert one().tags["emulated"] == "no"


def test_emulated_hardware_is_in_the_name() -> None:
    assert one(cell_id="s/t4/auto/hot", hardware=emulated()).name == "s/t4/auto/hot (emulated)"


def test_a_repeat_and_a_new_measurement_are_runs_of_their_own() -> None:
    first = make_record()
    repeat = make_record(repeat=1)
    later = make_record(started_at="2026-11-01T00:00:00+00:00")
    results = [gate(cell(record)) for record in (first, repeat, later)]
    assert len({tracked_runs(result)[0].id for result in results}) == 3
    assert len({result_id(result) for result in results}) == 3


def test_another_judgement_is_the_same_run() -> None:
    record = make_record()
    assert result_id(gate(cell(record))) == result_id(
        gate(frozen().model_copy(update={"record": record}))
    )


def test_a_result_without_a_cell_says_so() -> None:
    with pytest.raises(InputError, match="no cell"):
        tracked_runs(gate())


@given(st.lists(st.floats(), max_size=8))
def test_every_value_that_is_not_finite_is_told_with_its_step(values: list[float]) -> None:
    points = [Point(step, value, 0.0) for step, value in enumerate(values)]
    told = [
        int(step)
        for part in non_finite(points).split("; ")
        if part
        for step in part.partition(" at step")[2].lstrip("s ").split(", ")
    ]
    assert sorted(told) == [p.step for p in points if not math.isfinite(p.value)]


def test_mlflow_is_told_in_tags_what_its_curves_do_not_show() -> None:
    run = one(evaluations=[4.0, NAN, math.inf, 3.0], recipe={"instruction": "x" * 7_000})
    assert to_mlflow._problems(run) == {
        "non_finite.eval/loss": "nan at step 10; inf at step 20",
        "cut_params": "recipe.instruction",
    }


# --- credentials


@given(user=WORDS, password=WORDS, token=WORDS)
def test_no_credential_of_an_address_is_ever_told(user: str, password: str, token: str) -> None:
    user, password, token = f"user{user}", f"pass{password}", f"tok{token}"
    uri = f"https://{user}:{password}@example.org:5000/path?token={token}"
    message = f"API request to {uri}/api/2.0 failed for {password}"
    for told in (redacted(uri), without_credentials(message, uri)):
        assert not any(secret in told for secret in (user, password, token))
    assert redacted(uri) == "https://example.org:5000/path"


def test_credentials_of_the_environment_are_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "s3cret")
    assert without_credentials("Bearer s3cret refused", "http://a") == "Bearer *** refused"


# --- TensorBoard


def read(folder: Path) -> EventAccumulator:
    accumulator = EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0})
    return accumulator.Reload()


def scalars(folder: Path, name: str) -> list[tuple[int, float]]:
    return [(event.step, event.value) for event in read(folder).Scalars(name)]


def text(folder: Path, name: str) -> str:
    (event,) = read(folder).Tensors(f"{name}/text_summary")
    return str(event.tensor_proto.string_val[0].decode())


@pytest.fixture
def out() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


def test_tensorboard_reads_back_what_was_written(out: Path) -> None:
    runs = tracked_runs(mixed())
    for run, folder in zip(runs, to_tensorboard.export(runs, out), strict=True):
        assert set(read(folder).Tags()["scalars"]) == set(run.metrics)
        for name, points in run.metrics.items():
            found = scalars(folder, name)
            assert [step for step, _ in found] == [p.step for p in points]
            # Event files hold single precision.
            assert [value for _, value in found] == pytest.approx(
                [p.value for p in points], rel=1e-6, nan_ok=True
            )
        assert run.tags["verdict"] in text(folder, "tags")


def test_the_time_of_an_event_is_that_of_the_run(out: Path) -> None:
    run = one()
    (folder,) = to_tensorboard.export([run], out)
    times = [event.wall_time for event in read(folder).Scalars("train/loss")]
    assert times == pytest.approx(
        [run.started.timestamp() + point.elapsed_s for point in run.metrics["train/loss"]]
    )


def test_values_that_are_not_finite_are_held_and_told(out: Path) -> None:
    run = one(evaluations=[4.0, NAN, math.inf])
    (folder,) = to_tensorboard.export([run], out)
    values = [value for _, value in scalars(folder, "eval/loss")]
    assert values[0] == 4.0
    assert math.isnan(values[1])
    assert values[2] == math.inf
    assert text(folder, "non_finite/eval/loss") == "nan at step 10; inf at step 20"


def test_twice_is_once(out: Path) -> None:
    for _ in range(2):
        (folder,) = to_tensorboard.export([one()], out)
    assert len(list(out.rglob("*tfevents*"))) == 1
    assert len(scalars(folder, "train/loss")) == 30
    assert [path.name for path in out.iterdir()] == [folder.parent.name]


@pytest.mark.parametrize("name", [HOSTILE, "../../../x/y", "..", "/etc/passwd/x/y", "a" * 500])
def test_no_name_leads_out_of_the_folder(name: str, out: Path) -> None:
    (folder,) = to_tensorboard.export([one(cell_id=name)], out / "logs")
    assert folder.resolve().is_relative_to((out / "logs").resolve())
    assert len(folder.relative_to(out / "logs").parts) == 2
    assert [path.name for path in out.iterdir()] == ["logs"]


def test_the_command_takes_any_folder_with_records(tmp_path: Path) -> None:
    write_record(make_record(steps=steps(8)), tmp_path / "records" / "deep" / "one.json")
    done = CliRunner().invoke(
        app, ["export", "tensorboard", str(tmp_path / "records"), "--out", str(tmp_path / "tb")]
    )
    assert done.exit_code == 0, done.output
    assert "1 runs: tensorboard --logdir" in done.output
    assert len(list((tmp_path / "tb").rglob("*tfevents*"))) == 1


def test_without_the_extra_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for package in ("mlflow", "tensorboardX"):
        monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match="uv sync --extra mlflow"):
        to_mlflow.export(mixed(), "http://127.0.0.1:1", "x")
    with pytest.raises(MissingExtraError, match="uv sync --extra tensorboard"):
        to_tensorboard.export(tracked_runs(mixed()), tmp_path)
