"""A payload's events as the harness takes them: whole lines, of a bounded size, each of a known shape.

`harness/payload/events.py` writes them. A payload runs code that nobody has reviewed: what is not as it
should be ends the run, and is never believed.
"""

from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError
from pydantic_core import from_json

from harness.containment.limits import ANSWER_BYTES
from harness.containment.returned import open_returned, plain_text
from harness.errors import first_problem
from harness.record import (
    Adapter,
    Afterwards,
    BaseWeights,
    Evaluation,
    ExecutedPath,
    Phase,
    Precision,
    Probe,
    Rows,
    Scaler,
    Step,
    Translation,
)
from harness.record.data import Data


class _Started(Data):
    name: str


class _Planned(Data):
    steps: int
    epochs: float


class _Evidence(Data):
    executed: ExecutedPath
    precision: Precision
    adapter: Adapter
    base_weights: BaseWeights
    scaler: Scaler


class _Replaced(Data):
    parts: list[str]


class _Translated(Data):
    rows: list[Translation]


class _Raised(Data):
    phase: str
    kind: str
    message: str
    traceback: str = ""


class _Done(Data):
    pass


_SHAPES: dict[str, TypeAdapter[Any]] = {
    "phase": TypeAdapter(_Started),
    "phase_end": TypeAdapter(Phase),
    "plan": TypeAdapter(_Planned),
    "step": TypeAdapter(Step),
    "evaluation": TypeAdapter(Evaluation),
    "evidence": TypeAdapter(_Evidence),
    "rows": TypeAdapter(dict[Literal["train", "evaluation"], Rows]),
    "probe": TypeAdapter(Probe),
    "replaced": TypeAdapter(_Replaced),
    "afterwards": TypeAdapter(Afterwards),
    "translations": TypeAdapter(_Translated),
    "failure": TypeAdapter(_Raised),
    "done": TypeAdapter(_Done),
}
"""What each kind carries beside its name."""


class UnusableEventsError(Exception):
    """A payload answered with what the harness does not take; the message is what."""


class Events:
    """One run's events, read while they are written.

    Attributes:
        seen: Every event so far.
    """

    def __init__(self, path: Path, limit: int = ANSWER_BYTES) -> None:
        """Read from a file, which need not be there yet.

        Args:
            path: The file.
            limit: Bytes that it may have.
        """
        self.seen: list[dict[str, Any]] = []
        self._path, self._limit, self._position = path, limit, 0

    def read(self) -> list[dict[str, Any]]:
        """Return every whole event since the last call.

        A line that is cut short, by a kill or by reading while it is written, is left for the next call.

        Raises:
            UnusableEventsError: The file is none, is too large, or has an event of no known shape; those
                before it are in `seen`.
        """
        before = len(self.seen)
        for line in self._lines():
            if line.strip():
                self.seen.append(_event(line))
        return self.seen[before:]

    def _lines(self) -> list[bytes]:
        try:
            with open_returned(self._path) as file:
                file.seek(self._position)
                data = file.read(self._limit - self._position + 1)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise UnusableEventsError(str(error)) from error
        if self._position + len(data) > self._limit:
            raise UnusableEventsError(f"more than {self._limit >> 20} MiB of events")
        whole = data[: data.rfind(b"\n") + 1]
        self._position += len(whole)
        return whole.split(b"\n")


def _event(line: bytes) -> dict[str, Any]:
    try:
        event = from_json(line)
    except ValueError as error:
        raise UnusableEventsError(f"an event is no JSON: {error}") from error
    kind = event.pop("event", None) if isinstance(event, dict) else None
    if not isinstance(kind, str) or kind not in _SHAPES:
        raise UnusableEventsError(f"an event of no known kind: {plain_text(repr(kind))[:100]}")
    event = _plain(event)
    try:
        _SHAPES[kind].validate_python(event)
    except ValidationError as error:
        problem = first_problem(error, kind)
        raise UnusableEventsError(
            f"event {kind!r} is not valid: {problem.where[:200]}: {problem.reason[:200]}"
        ) from error
    return {"event": kind, **event}


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return plain_text(value)
    if isinstance(value, dict):
        return {plain_text(key): _plain(one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list) else value
