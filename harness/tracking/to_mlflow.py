"""Records as MLflow runs: one for each record, below one for the run of the gate."""

import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from harness.errors import MissingExtraError, TrackingError
from harness.tracking.tracked import Tracked, infinite

_IDENTITY = "gate.identity"
_PARENT = "mlflow.parentRunId"
_METRICS, _OTHERS = 1000, 100
"""What one request may hold: MLflow's REST API, runs/log-batch."""
_DEFAULTS = {
    # A server that is not there is told in seconds, not in minutes.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
}


def export(
    runs: Sequence[Tracked],
    uri: str,
    experiment: str,
    *,
    parent: str | None = None,
    artifacts: Sequence[Path] = (),
    say: Callable[[str], None] = lambda message: None,
) -> int:
    """Write runs to an MLflow server, or below a `file:` or `sqlite:` store.

    A run that is there is left alone, so that the same folder can be exported again.

    Args:
        runs: What is written.
        uri: Tracking URI; credentials come from MLflow's own variables.
        experiment: Name of an experiment, made if it is not there.
        parent: Name of a run above them.
        artifacts: Files kept with that run.
        say: Told of each run.

    Returns:
        How many runs were written.

    Raises:
        MissingExtraError: The extra `mlflow` is not installed.
        TrackingError: The server cannot be reached, or refuses.
    """
    for name, value in _DEFAULTS.items():
        os.environ.setdefault(name, value)
    try:
        from mlflow.exceptions import MlflowException
        from mlflow.tracking import MlflowClient
    except ImportError as error:
        raise MissingExtraError("mlflow", "mlflow") from error
    with _told(uri, MlflowException):
        client = MlflowClient(tracking_uri=uri)
        found = client.get_experiment_by_name(experiment)
        into = found.experiment_id if found else client.create_experiment(experiment)
        above = _parent(client, into, parent, artifacts) if parent else None
        written = 0
        for run in runs:
            if _there(client, into, run.identity):
                say(f"{run.name}: there already")
                continue
            _write(client, into, run, above)
            written += 1
            say(f"{run.name}: {len(run.metrics)} figures")
    return written


def _there(client: Any, experiment: str, identity: str) -> str | None:
    query = f"tags.`{_IDENTITY}` = '{identity}'"
    found = client.search_runs([experiment], filter_string=query, max_results=1)
    # One that was cut off while it was written is none.
    whole = [run.info.run_id for run in found if run.info.status in ("FINISHED", "FAILED")]
    return whole[0] if whole else None


def _parent(client: Any, experiment: str, name: str, artifacts: Sequence[Path]) -> str:
    identity = f"gate {name}"
    if there := _there(client, experiment, identity):
        return there
    run = client.create_run(experiment, run_name=name, tags={_IDENTITY: identity})
    for path in artifacts:
        client.log_artifact(run.info.run_id, str(path))
    client.set_terminated(run.info.run_id)
    return str(run.info.run_id)


def _write(client: Any, experiment: str, run: Tracked, parent: str | None) -> None:
    from mlflow.entities import Metric, Param, RunTag

    started, ended = int(run.started * 1000), int(run.ended * 1000)
    tags = {_IDENTITY: run.identity, **({_PARENT: parent} if parent else {})}
    made = client.create_run(experiment, start_time=started, run_name=run.name, tags=tags)
    here = made.info.run_id
    said = {f"gate.{name}": value for name, value in run.tags.items()}
    said |= {f"gate.{name}": words for name, words in infinite(run.metrics).items()}
    for some in _chunks([RunTag(*one) for one in said.items()], _OTHERS):
        client.log_batch(here, tags=some)
    for some in _chunks([Param(*one) for one in run.parameters.items()], _OTHERS):
        client.log_batch(here, params=some)
    # MLflow keeps NaN, and turns an infinity into the largest number that there is.
    finite = [
        Metric(metric.name, metric.value, started, metric.step)
        for metric in run.metrics
        if not math.isinf(metric.value)
    ]
    for some in _chunks(finite, _METRICS):
        client.log_batch(here, metrics=some)
    client.set_terminated(here, "FINISHED" if run.completed else "FAILED", ended)


def _chunks(items: list[Any], size: int) -> Iterator[list[Any]]:
    return (items[at : at + size] for at in range(0, len(items), size))


@contextmanager
def _told(uri: str, failure: type[Exception]) -> Iterator[None]:
    try:
        yield
    except (failure, OSError) as error:
        shown = urlsplit(uri)
        place = uri if not shown.netloc else f"{shown.scheme}://{shown.netloc.rpartition('@')[2]}"
        reason = str(error).replace(shown.netloc, shown.netloc.rpartition("@")[2])
        raise TrackingError(
            f"MLflow at {place} did not take the runs: {reason[:400]}. Check the URI, and MLflow's own "
            "MLFLOW_TRACKING_USERNAME, MLFLOW_TRACKING_PASSWORD or MLFLOW_TRACKING_TOKEN. What was written stays; the same "
            "command goes on."
        ) from error
