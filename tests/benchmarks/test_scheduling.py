"""What placing cells costs: 1,000 of simulated duration, through the real dispatcher, threads and store."""

import io
import random
import time
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from harness.dispatch import expectation, local
from harness.dispatch.dispatcher import Run
from harness.dispatch.local import LocalDispatcher
from harness.dispatch.place import Need
from harness.experiment import Experiment
from harness.plan import Options, Plan
from harness.progress import Progress
from harness.store import RecordStore
from tests.unit.records import make_record

CELLS, SLOTS = 1000, 16
SECONDS_A_CELL = 1.0
"""Nearly the mean; a real cell takes 7 s at the least, so that what placing costs weighs more here."""


def test_1000_cells_of_simulated_duration(
    benchmark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = Plan(Options())
    cells = [f"reference-2026.10.9/cpu/float32/ragged+seed={i}" for i in range(CELLS)]
    runs = [plan.once(plan.matrix.cell(cell)) for cell in cells]
    rng = random.Random(3407)
    scale = SECONDS_A_CELL / 11
    lengths = {r.experiment.key: min(rng.paretovariate(1.1), 60.0) * 2 * scale for r in runs}
    busy = 0.0

    def sleeps(experiment: Experiment, machine: Any, repeat: int, *_: Any) -> Any:
        nonlocal busy
        started = time.monotonic()
        time.sleep(lengths[experiment.key])
        busy += time.monotonic() - started
        return make_record(cell_id=experiment.cell.id, key=experiment.key, repeat=repeat)

    def guesses(runs: list[Run], *_: Any) -> list[Need]:
        return [
            Need(
                expectation.cpu_name(plan.machine.cpu),
                1,
                1,
                lengths[run.experiment.key] * rng.lognormvariate(0, 0.2),
            )
            for run in runs
        ]

    monkeypatch.setattr(local, "run_process", sleeps)
    monkeypatch.setattr(local, "build_inputs", lambda experiment, say: Path())
    monkeypatch.setattr(expectation, "needs", guesses)
    progress = Progress(Console(file=io.StringIO()), CELLS)
    dispatcher = LocalDispatcher(RecordStore(tmp_path), plan.machine, progress, SLOTS)
    started = time.monotonic()
    results = benchmark.pedantic(lambda: list(dispatcher.run(runs)), rounds=1)
    idle = 1 - busy / (SLOTS * (time.monotonic() - started))
    benchmark.extra_info["idle"] = idle
    assert len(results) == CELLS
    assert idle < 0.05
