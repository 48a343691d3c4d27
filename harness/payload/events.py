"""The answer of a payload: one JSON object a line, flushed as it happens.

The same lines are progress while the run lives, the measured figures when it ends, and all there is
to know when it is killed. Kinds: `phase`, `phase_end`, `plan`, `step`, `evaluation`, `evidence`,
`rows`, `probe`, `replaced`, `afterwards`, `failure`, `done`; of a fresh process after training also
`figures`.
"""

import json
import traceback
from pathlib import Path
from typing import Any


class EventLog:
    """Append-only writer of events."""

    def __init__(self, path: str) -> None:
        self._handle = Path(path).open("a", encoding="utf-8")  # noqa: SIM115 - lives as long as the process

    def emit(self, event: str, /, **fields: Any) -> None:
        """Write one event; readers see whole lines only."""
        self._handle.write(json.dumps({"event": event, **fields}) + "\n")
        self._handle.flush()


def failure_of(error: BaseException, phase: str) -> dict[str, Any]:
    """Return the fields of `harness.record.Failure` while the error is handled."""
    return {
        "phase": phase,
        "kind": type(error).__name__,
        "message": str(error)[:4000],
        "traceback": traceback.format_exc()[-12000:],
    }
