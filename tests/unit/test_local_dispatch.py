import io
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from threading import Lock, Thread
from typing import Any

import pytest
from rich.console import Console

from harness.dispatch import local
from harness.dispatch.dispatcher import Run
from harness.dispatch.local import LocalDispatcher
from harness.errors import HarnessError, StackBuildError, StorageError
from harness.experiment import Experiment, prepare
from harness.hardware import Machine
from harness.plan import Options, Plan
from harness.progress import Progress
from harness.store import RecordStore
from tests.unit.fake_cluster import CPU, gpu
from tests.unit.records import make_record


def dispatcher(folder: Path, plan: Plan) -> LocalDispatcher:
    progress = Progress(Console(file=io.StringIO()), 1)
    return LocalDispatcher(RecordStore(folder), plan.machine, progress)


def _within(error: BaseException, context: BaseException) -> BaseException:
    error.__context__ = context
    return error


@pytest.mark.parametrize(
    ("raised", "context", "ends_as"),
    [
        (KeyboardInterrupt(), None, KeyboardInterrupt),
        (RuntimeError("release unlocked lock"), KeyboardInterrupt(), KeyboardInterrupt),
        (
            ValueError("on the way out"),
            _within(RuntimeError(), KeyboardInterrupt()),
            KeyboardInterrupt,
        ),
        (RuntimeError("a bug of ours"), None, RuntimeError),
        (RuntimeError("a bug of ours"), ValueError("while another"), RuntimeError),
    ],
)
def test_ctrl_c_ends_as_ctrl_c(
    raised: BaseException,
    context: BaseException | None,
    ends_as: type[BaseException],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    def wait(pending: Sequence[Any], **_: Any) -> Any:
        raised.__context__ = context
        raise raised

    monkeypatch.setattr(local, "wait", wait)
    monkeypatch.setattr(LocalDispatcher, "_one", lambda self, run: None)
    plan = Plan(Options())
    runs = [plan.once(plan.matrix.cells[0])]
    with pytest.raises(ends_as):
        list(dispatcher(tmp_path, plan).run(runs))


GIB = 1 << 30


class Runs:
    """In place of payload processes: each takes a moment, and is noted."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.on: Counter[str | None] = Counter()
        self.most_at_once: Counter[str | None] = Counter()
        self.limits: set[int] = set()
        self._now: Counter[str | None] = Counter()
        self._lock = Lock()
        monkeypatch.setattr(local, "run_process", self)
        monkeypatch.setattr(local, "build_inputs", lambda experiment, say: Path())

    def __call__(
        self, experiment: Experiment, machine: Any, repeat: int, python: Any, limit: int, *_: Any
    ) -> Any:
        where = experiment.target.gpu_uuid
        with self._lock:
            self.on[where] += 1
            self._now[where] += 1
            self.most_at_once[where] = max(self.most_at_once[where], self._now[where])
            self.limits.add(limit)
        time.sleep(0.02)
        with self._lock:
            self._now[where] -= 1
        return make_record(cell_id=experiment.cell.id, key=experiment.key, repeat=repeat)


def on(machine: Machine, folder: Path, jobs: int) -> LocalDispatcher:
    progress = Progress(Console(file=io.StringIO()), 1)
    return LocalDispatcher(RecordStore(folder), machine, progress, jobs)


def runs_on(machine: Machine, hardware: str, count: int) -> list[Run]:
    matrix = Plan(Options()).matrix
    ids = [f"reference-2026.10.9/{hardware}/float32/ragged+seed={i}" for i in range(count)]
    return [Run(prepare(matrix.cell(cell), matrix, machine)) for cell in ids]


def test_each_gpu_has_one_cell_and_two_of_a_kind_share_the_cells(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    machine = Machine(replace(CPU, cores=16), (gpu("h100", "GPU-a"), gpu("h100", "GPU-b")))
    ran = Runs(monkeypatch)
    runs = runs_on(machine, "h100", 8) + runs_on(machine, "cpu", 8)
    assert len(list(on(machine, tmp_path, 16).run(runs))) == 16
    assert ran.on["GPU-a"] + ran.on["GPU-b"] == 8
    assert min(ran.on["GPU-a"], ran.on["GPU-b"]) > 0
    assert (ran.most_at_once["GPU-a"], ran.most_at_once["GPU-b"]) == (1, 1)
    assert ran.most_at_once[None] > 1


@pytest.mark.parametrize(
    ("memory", "jobs", "most", "limit"),
    [
        # A cell without a record is expected to need 2 GiB; more than that is shared.
        (10 * GIB, 8, 4, 2 * GIB),
        (100 * GIB, 4, 4, int(90 * GIB) // 4),
        (1 * GIB, 8, 1, int(0.9 * GIB)),
    ],
)
def test_as_many_at_once_as_memory_allows(
    memory: int,
    jobs: int,
    most: int,
    limit: int,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    machine = Machine(replace(CPU, memory_bytes=memory))
    ran = Runs(monkeypatch)
    assert len(list(on(machine, tmp_path, jobs).run(runs_on(machine, "cpu", 12)))) == 12
    assert ran.most_at_once[None] == most
    assert ran.limits == {limit}


def test_lines_of_parallel_cells_stay_whole() -> None:
    out = io.StringIO()
    progress = Progress(Console(file=out, width=40), 0)
    lines = [f"cell {i}: " + "x" * 100 for i in range(8)]

    def says(line: str) -> None:
        for _ in range(50):
            progress.say(line)

    threads = [Thread(target=says, args=(line,)) for line in lines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(map(str.strip, out.getvalue().splitlines())) == Counter(dict.fromkeys(lines, 50))


@pytest.mark.parametrize(
    ("fails", "error", "phase"),
    [
        ("build_inputs", StackBuildError("no network"), "build"),
        ("build_inputs", StorageError("no space"), "build"),
        ("run_process", StorageError("no space; set TMPDIR"), "start"),
    ],
)
def test_what_the_machine_lacks_is_no_verdict_on_the_library(
    fails: str, error: HarnessError, phase: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(local, "build_inputs", lambda *_: tmp_path)
    monkeypatch.setattr(local, fails, fail)
    plan = Plan(Options())
    (result,) = dispatcher(tmp_path, plan).run([plan.once(plan.matrix.cells[0])])
    assert result.record.status == "INFRA"
    assert result.record.failure is not None
    assert (result.record.failure.phase, result.record.failure.kind) == (
        phase,
        type(error).__name__,
    )
    assert result.record.failure.message == str(error)
