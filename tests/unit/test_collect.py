import signal
from typing import Any

import pytest

from harness.collect import Ending, build_record
from harness.plan import Options, Plan
from harness.record import Record

# --- a full disk is the machine's, not the library's


def ended(code: int, *events: dict[str, Any], full: bool = True) -> Record:
    plan = Plan(Options())
    run = plan.once(plan.matrix.cell("reference-2026.10.9/cpu/float32/ragged"))
    ending = Ending(code, 1.0, "2026-11-26T10:00:00+00:00", "last output", disk_full=full)
    phase = {"event": "phase", "name": "train"}
    return build_record(run.experiment, plan.machine, 0, [phase, *events], ending)


def failed(message: str) -> dict[str, Any]:
    return {
        "event": "failure",
        "phase": "save",
        "kind": "OSError",
        "message": message,
        "traceback": "t",
    }


@pytest.mark.parametrize(
    ("record", "status", "says"),
    [
        (ended(1), "INFRA", "TMPDIR"),
        (ended(-signal.SIGBUS), "INFRA", "TMPDIR"),
        (
            ended(1, failed("[Errno 28] No space left on device: 'x'"), full=False),
            "INFRA",
            "TMPDIR",
        ),
        (ended(1, failed("a library's own bug")), "CRASHED", "own bug"),
        (ended(-signal.SIGSEGV), "CRASHED", "without a word"),
        (ended(1, full=False), "CRASHED", "without a word"),
        (ended(1, failed("out of memory")), "OOM", "out of memory"),
    ],
    ids=["lost words", "file in memory", "said", "a bug", "a signal", "space", "memory"],
)
def test_a_full_disk_is_told_from_a_crash(record: Record, status: str, says: str) -> None:
    assert record.status == status
    assert record.failure is not None
    assert says in record.failure.message
    assert record.failure.output_tail == "last output"


def test_a_run_that_filled_the_disk_at_its_end_completed() -> None:
    assert ended(0, {"event": "done"}).status == "COMPLETED"
