"""Records as runs of an MLflow experiment: a parent run for the gate's, a child for each cell and repeat."""

import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import reports
from harness.errors import MissingExtraError, TrackingError
from harness.gate import GateResult
from harness.reports.answer import sentence
from harness.tracking.credentials import redacted, without_credentials
from harness.tracking.tracked import Point, TrackedRun, non_finite, result_id, tracked_runs

if TYPE_CHECKING:
    from mlflow import MlflowClient

_SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    # It prints the server's address, with the password that may be in it.
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    # The default waits four minutes for a server that is not there.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",
}
"""What MLflow's client is told unless the user's environment says otherwise."""

# Of MLflow's REST API: entries of one request, and characters of a value.
_BATCH, _LONGEST_PARAM, _LONGEST_TAG = 100, 6_000, 5_000
_ID, _COMPLETE = "gate.identity", "gate.complete"
"""Tags: what the run is of, and whether all of it is there."""


@dataclass(frozen=True)
class Exported:
    """What an export came to.

    Attributes:
        new: Names of the runs that were written.
        present: Names of those that were there already.
    """

    experiment_id: str
    new: tuple[str, ...]
    present: tuple[str, ...]


def export(result: GateResult, uri: str, experiment: str) -> Exported:
    """Write a result to an MLflow server; what is there already is not written again.

    A run that an earlier export did not finish is deleted and written anew. Of one that is there only the
    tags are brought up to date, for records may have been judged again.

    Args:
        result: What to write.
        uri: Of the tracking server.
        experiment: Name of the experiment; it is made where it lacks.

    Raises:
        MissingExtraError: MLflow's client is not installed.
        TrackingError: The server cannot be reached or refuses.
    """
    if not uri.strip():
        # MLflow would make a database in the working folder.
        raise TrackingError("no tracking server is named: give its address, as http://HOST:5000.")
    for name, value in _SETTINGS.items():
        os.environ.setdefault(name, value)
    try:
        from mlflow import MlflowClient
    except ImportError as error:
        raise MissingExtraError("mlflow", "mlflow") from error
    with _told(uri):
        client = MlflowClient(tracking_uri=uri)
        experiment_id = _experiment(client, experiment)
        parent = _parent(client, experiment_id, result)
        new: list[str] = []
        present: list[str] = []
        for run in tracked_runs(result):
            written = _child(client, experiment_id, parent, run)
            (new if written else present).append(run.name)
        return Exported(experiment_id, tuple(new), tuple(present))


@contextmanager
def _told(uri: str) -> Iterator[None]:
    """Raise whatever goes wrong with the server as one error without a credential in it."""
    from mlflow.exceptions import MlflowException
    from requests.exceptions import RequestException

    try:
        yield
    except (MlflowException, RequestException, OSError, ValueError, ImportError) as error:
        said = without_credentials(str(error).strip() or type(error).__name__, uri)
        # `from None`: the cause's text has the address as it was given.
        raise TrackingError(
            f"the MLflow server at {redacted(uri)} cannot be reached or refuses: {said}. Check that it "
            "runs and that its address is right; credentials belong in MLFLOW_TRACKING_USERNAME and "
            "MLFLOW_TRACKING_PASSWORD, or in MLFLOW_TRACKING_TOKEN. Exported runs are kept, so the same "
            "command goes on."
        ) from None


def _experiment(client: "MlflowClient", name: str) -> str:
    from mlflow.exceptions import MlflowException

    if found := client.get_experiment_by_name(name):
        return str(found.experiment_id)
    try:
        return str(client.create_experiment(name))
    except MlflowException:
        # Somebody else made it meanwhile.
        if found := client.get_experiment_by_name(name):
            return str(found.experiment_id)
        raise


def _parent(client: "MlflowClient", experiment_id: str, result: GateResult) -> str:
    """Return the run that stands for the gate's, with its report in it as it is judged now."""
    runs = tracked_runs(result)
    start = min(run.started for run in runs)
    end = max(run.started + timedelta(seconds=run.duration_s) for run in runs)
    tags = {
        "mlflow.note.content": sentence(result),
        "gate.verdict": str(result.outcome),
        "gate.harness_version": result.harness_version,
        "gate.emulated": ", ".join(sorted({run.tags["emulated"] for run in runs})),
    }
    found = _there(client, experiment_id, result_id(result))
    if found is None:
        tags |= {_ID: result_id(result)}
        made = client.create_run(
            experiment_id, _ms(start.timestamp()), _fitting(tags), f"gate {result.started_at}"
        )
        found = made.info.run_id
    else:
        _set_tags(client, found, tags)
    with tempfile.TemporaryDirectory() as folder:
        reports.write(result, Path(folder))
        for name in (reports.PAGE_NAME, reports.SUMMARY_NAME):
            client.log_artifact(found, str(Path(folder) / name))
    client.set_terminated(found, "FINISHED", _ms(end.timestamp()))
    client.set_tag(found, _COMPLETE, "yes")
    return found


def _child(client: "MlflowClient", experiment_id: str, parent: str, run: TrackedRun) -> bool:
    """Write a run unless it is there; return whether it was written."""
    tags = {f"gate.{name}": text for name, text in {**run.tags, **_problems(run)}.items()}
    if found := _there(client, experiment_id, run.id):
        _set_tags(client, found, tags)
        return False
    start = run.started.timestamp()
    tags |= {_ID: run.id, "mlflow.parentRunId": parent}
    run_id = client.create_run(experiment_id, _ms(start), _fitting(tags), run.name).info.run_id
    _log(client, run_id, run, start)
    client.set_terminated(
        run_id, "FINISHED" if run.completed else "FAILED", _ms(start + run.duration_s)
    )
    client.set_tag(run_id, _COMPLETE, "yes")
    return True


def _log(client: "MlflowClient", run_id: str, run: TrackedRun, start: float) -> None:
    from mlflow.entities import Metric, Param

    params = [Param(name, text[:_LONGEST_PARAM]) for name, text in run.params.items()]
    metrics = [
        Metric(name, point.value, _ms(start + point.elapsed_s), point.step)
        for name, points in run.metrics.items()
        for point in points
        if _is_held(point)
    ]
    for at in range(0, max(len(params), len(metrics)), _BATCH):
        client.log_batch(run_id, metrics[at : at + _BATCH], params[at : at + _BATCH])


def _is_held(point: Point) -> bool:
    """Whether MLflow keeps the value: it holds NaN, and puts the largest double for an infinity."""
    return abs(point.value) != float("inf")


def _problems(run: TrackedRun) -> dict[str, str]:
    """Return as tags what a curve cannot show, or is cut."""
    said = {f"non_finite.{name}": non_finite(points) for name, points in run.metrics.items()}
    longer = [name for name, text in run.params.items() if len(text) > _LONGEST_PARAM]
    said["cut_params"] = ", ".join(longer)
    return {name: text for name, text in said.items() if text}


def _there(client: "MlflowClient", experiment_id: str, identity: str) -> str | None:
    """Return the complete run of an identity, deleting what an export that was cut off left of it."""
    found: Sequence[Any] = client.search_runs([experiment_id], f"tags.`{_ID}` = '{identity}'")
    complete = [run.info.run_id for run in found if _COMPLETE in run.data.tags]
    for run in found:
        if _COMPLETE not in run.data.tags:
            client.delete_run(run.info.run_id)
    return complete[0] if complete else None


def _set_tags(client: "MlflowClient", run_id: str, tags: Mapping[str, str]) -> None:
    now = client.get_run(run_id).data.tags
    for name, text in _fitting(tags).items():
        if now.get(name) != text:
            client.set_tag(run_id, name, text)


def _fitting(tags: Mapping[str, str]) -> dict[str, str]:
    return {name: text if len(text) <= _LONGEST_TAG else _cut(text) for name, text in tags.items()}


def _cut(text: str) -> str:
    more = f" ... ({len(text)} characters)"
    return text[: _LONGEST_TAG - len(more)] + more


def _ms(seconds: float) -> int:
    return int(seconds * 1000)
