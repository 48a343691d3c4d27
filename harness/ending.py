"""How a payload's process ended, seen from outside, and what that says of its run."""

import signal
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from harness.record import Failure

Status = Literal["COMPLETED", "CRASHED", "OOM", "TIMEOUT", "INFRA"]

# What the kernel and Rust's libraries say.
_NO_SPACE = ("No space left on device", "Disk quota exceeded", "os error 28")
_DISK_FULL = "disk full"
_NOT_CONTAINED = "containment"
_BUBBLEWRAP_SAYS = "bwrap: "
_UNCONTAINED = "HARNESS_CONTAINMENT=limits runs cells without it (docs/containment.md)."
# What allocators say: torch on a GPU and on a CPU, Python, glibc.
_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "MemoryError", "Cannot allocate memory")


@dataclass(frozen=True)
class Hit:
    """A limit for which the harness ended a payload."""

    limit: Literal["time", "memory", "disk", "processes", "answer"]
    text: str


@dataclass(frozen=True)
class Ending:
    """How the payload process ended, seen from outside."""

    exit_code: int | None
    duration_s: float
    started_at: str
    output_tail: str
    hit: Hit | None = None
    oom_killer: bool = False
    """Whether the kernel's out-of-memory killer struck while the process ran."""
    disk_full: bool = False
    """Whether its work folder had no space left when it ended."""


def status_of(failure: Failure | None, ending: Ending) -> Status:
    """Return a run's status.

    Args:
        failure: Of `failure_of`.
        ending: How it ended.
    """
    if failure is None:
        return "COMPLETED"
    limit = ending.hit.limit if ending.hit else None
    if limit == "time":
        return "TIMEOUT"
    if limit == "memory" or ending.oom_killer:
        return "OOM"
    if failure.kind in (_DISK_FULL, _NOT_CONTAINED):
        return "INFRA"
    if limit is not None:
        return "CRASHED"
    if any(sign in failure.message or sign in failure.kind for sign in _OUT_OF_MEMORY):
        return "OOM"
    return "CRASHED"


def failure_of(events: Sequence[dict[str, Any]], ending: Ending) -> Failure | None:
    """Return why a run did not finish; None where it did.

    Args:
        events: What its payload said.
        ending: How it ended.
    """
    finished = any(event["event"] == "done" for event in events)
    if ending.exit_code == 0 and finished and ending.hit is None:
        return None
    phase = next(
        (event["name"] for event in reversed(events) if event["event"] == "phase"), "start"
    )
    raised = next((_fields(event) for event in events if event["event"] == "failure"), None)
    if not events and ending.exit_code == 1 and ending.output_tail.startswith(_BUBBLEWRAP_SAYS):
        message = (
            f"its containment did not start: {ending.output_tail.strip()[:500]}. {_UNCONTAINED}"
        )
        return Failure(phase=phase, kind=_NOT_CONTAINED, message=message)
    if _for_want_of_space(raised, ending):
        said = {"message": "", **(raised or {"phase": phase})}
        said |= {"kind": _DISK_FULL, "message": f"{work_disk('no space left')} {said['message']}"}
        return Failure(**said, output_tail=ending.output_tail)
    if ending.hit is not None:
        return Failure(
            phase=phase,
            kind=f"{ending.hit.limit} limit",
            message=ending.hit.text,
            output_tail=ending.output_tail,
        )
    if raised is not None:
        return Failure(**raised, output_tail=ending.output_tail)
    return Failure(
        phase="exit" if finished else phase,
        kind=_exit_name(ending.exit_code),
        message="the process died on its way out, after the fine-tune had finished"
        if finished
        else "the process ended without a word; its last output is below",
        output_tail=ending.output_tail,
    )


def _fields(event: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in event.items() if name != "event"}


def _for_want_of_space(raised: dict[str, Any] | None, ending: Ending) -> bool:
    if ending.hit is not None:
        # A line that was cut where the space ended, and gone on with when there was some again.
        return ending.hit.limit == "answer" and ending.disk_full
    if raised is not None:
        return any(sign in raised["message"] for sign in _NO_SPACE)
    # What it said last is lost with the rest. SIGBUS: a file in memory could not grow.
    killed = ending.exit_code is not None and ending.exit_code < 0
    return ending.disk_full and (not killed or ending.exit_code == -signal.SIGBUS)


def work_disk(why: str) -> str:
    """Say why cells cannot work in the folder of temporary files, and what to change."""
    return (
        f"{tempfile.gettempdir()}, where cells work: {why}. Free some space, or set TMPDIR to a folder that "
        "has it."
    )


def _exit_name(code: int | None) -> str:
    if code is None or code >= 0:
        return f"exit code {code}"
    # Real-time signals have numbers without names.
    return next((s.name for s in signal.Signals if s == -code), f"signal {-code}")
