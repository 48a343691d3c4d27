import signal
from typing import Any

import pytest

from harness.collect import build_record
from harness.ending import Ending, Hit
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


# --- a limit that was hit, a containment that does not start


def stopped(hit: Hit, *events: dict[str, Any], full: bool = False, output: str = "") -> Record:
    plan = Plan(Options())
    run = plan.once(plan.matrix.cell("reference-2026.10.9/cpu/float32/ragged"))
    ending = Ending(-9, 1.0, "2026-11-26T10:00:00+00:00", output, hit=hit, disk_full=full)
    return build_record(run.experiment, plan.machine, 0, list(events), ending)


@pytest.mark.parametrize(
    ("limit", "status"),
    [
        ("time", "TIMEOUT"),
        ("memory", "OOM"),
        ("disk", "CRASHED"),
        ("processes", "CRASHED"),
        ("answer", "CRASHED"),
    ],
)
def test_each_limit_has_its_status_and_its_words(limit: Any, status: str) -> None:
    record = stopped(Hit(limit, "more than enough"), {"event": "phase", "name": "train"})
    assert record.status == status
    assert record.failure is not None
    assert record.failure.kind == f"{limit} limit"
    assert record.failure.phase == "train"
    assert record.failure.message == "more than enough"


def test_what_is_said_after_the_end_is_not_overlooked() -> None:
    plan = Plan(Options())
    run = plan.once(plan.matrix.cell("reference-2026.10.9/cpu/float32/ragged"))
    hit = Hit("answer", "an event is no JSON")
    ending = Ending(0, 1.0, "2026-11-26T10:00:00+00:00", "", hit=hit)
    record = build_record(run.experiment, plan.machine, 0, [{"event": "done"}], ending)
    assert record.status == "CRASHED"


def test_a_signal_without_a_name_is_a_number() -> None:
    failure = ended(-40, full=False).failure
    assert failure is not None
    assert failure.kind == "signal 40"


def test_a_line_that_a_full_disk_cut_is_the_machines_fault() -> None:
    record = stopped(Hit("answer", "an event is no JSON"), full=True)
    assert record.status == "INFRA"
    assert stopped(Hit("answer", "an event is no JSON"), full=False).status == "CRASHED"


def test_a_containment_that_does_not_start_is_the_machines_fault() -> None:
    plan = Plan(Options())
    run = plan.once(plan.matrix.cell("reference-2026.10.9/cpu/float32/ragged"))
    said = "bwrap: Can't mount proc on /newroot/proc: Operation not permitted"
    ending = Ending(1, 0.1, "2026-11-26T10:00:00+00:00", said)
    record = build_record(run.experiment, plan.machine, 0, [], ending)
    assert record.status == "INFRA"
    assert record.failure is not None
    assert said in record.failure.message
    assert "HARNESS_CONTAINMENT" in record.failure.message
    # Once it has said anything else, it was started.
    phase = {"event": "phase", "name": "import"}
    assert build_record(run.experiment, plan.machine, 0, [phase], ending).status == "CRASHED"
