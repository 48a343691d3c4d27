"""What a run is expected to take, by the records that are kept."""

import os
from pathlib import Path

import pytest

from harness.dispatch import expectation
from harness.dispatch.dispatcher import Run
from harness.plan import Options, Plan
from harness.record import Phase, write_record
from tests.unit.records import make_record

CELLS = ("unsloth-2026.10.9/cpu/float32/mild", "reference-2026.10.9/cpu/float32/mild")
OLDER = "unsloth-2026.10.8/a100-emulated/auto/mild"


@pytest.fixture(scope="module")
def plan() -> Plan:
    return Plan(Options())


def runs(plan: Plan, *cells: str) -> list[Run]:
    return [plan.once(plan.matrix.cell(cell)) for cell in cells]


def keep(folder: Path, run: Run, name: str, age_s: float, seconds: float, peak: int | None) -> None:
    phases = [Phase(name="train", wall_s=seconds, peak_rss=peak)]
    kept = make_record(cell_id=run.experiment.cell.id, duration_s=seconds, phases=phases)
    path = folder / run.experiment.cell.slug / name
    write_record(kept, path)
    os.utime(path, (1e9 - age_s, 1e9 - age_s))


def test_without_records_all_are_alike(plan: Plan, tmp_path: Path) -> None:
    (one, other) = expectation.needs(runs(plan, *CELLS), tmp_path / "none", "a CPU", 0)
    assert one.expected_s == other.expected_s == expectation.DEFAULT_S
    assert one.memory_bytes == expectation.DEFAULT_MEMORY
    assert (one.device, one.on_gpu, one.cores) == ("a CPU", False, 1)


def test_the_newest_record_tells(plan: Plan, tmp_path: Path) -> None:
    one, other = runs(plan, *CELLS)
    keep(tmp_path, one, "a.json", 60, 40.0, 1 << 30)
    keep(tmp_path, one, "b.json", 0, 20.0, 700 << 20)
    (tmp_path / one.experiment.cell.slug / "c.json").write_text("{")
    first, second = expectation.needs([one, other], tmp_path, "a CPU", 0)
    assert (first.expected_s, first.memory_bytes) == (20.0, 1280 << 20)
    # Nothing is known of the other: as long as the usual run, and memory by default.
    assert (second.expected_s, second.memory_bytes) == (20.0, expectation.DEFAULT_MEMORY)


def test_a_new_release_is_expected_to_take_what_the_last_took(plan: Plan, tmp_path: Path) -> None:
    old, new, other = runs(plan, OLDER, OLDER.replace("10.8", "10.9"), CELLS[1])
    keep(tmp_path, old, "a.json", 0, 33.0, 1 << 30)
    keep(tmp_path, other, "a.json", 0, 5.0, 1 << 30)
    (need,) = expectation.needs([new], tmp_path, "a CPU", 0)
    assert (need.expected_s, need.memory_bytes) == (33.0, expectation.DEFAULT_MEMORY)


def test_what_all_may_have_is_the_least(plan: Plan, tmp_path: Path) -> None:
    (need,) = expectation.needs(runs(plan, CELLS[0]), tmp_path, "a CPU", 10 << 30)
    assert need.memory_bytes == 10 << 30


def test_a_stack_to_be_built_is_named(plan: Plan, tmp_path: Path) -> None:
    (need,) = expectation.needs(runs(plan, CELLS[0]), tmp_path, "a CPU", 0, lambda stack: False)
    assert need.build == "unsloth-2026.10.9 (cpu)"
