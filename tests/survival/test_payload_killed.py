"""kill -9 of a cell, at random moments."""

import random
import signal
import time
from pathlib import Path

import psutil
import pytest

from harness.locations import cache_dir
from tests.survival.conftest import Figures
from tests.survival.scene import LIMIT_S, Scene

SLOWLY = """
import time
from pathlib import Path
if Path({flag!r}).exists():
    time.sleep(0.5)
"""


def kill_each(scene: Scene, command: list[str], within_s: float) -> tuple[int, int]:
    """Run a command and kill each payload once, within some seconds of its start."""
    due: dict[psutil.Process, float] = {}
    killed = 0
    deadline = time.monotonic() + LIMIT_S
    with scene.start(command) as harness:
        while harness.poll() is None:
            assert time.monotonic() < deadline, scene.output
            for process in scene.payloads():
                due.setdefault(process, time.monotonic() + random.uniform(0, within_s))
            for process, moment in due.items():
                if time.monotonic() >= moment and process.is_running():
                    process.send_signal(signal.SIGKILL)
                    due[process] = float("inf")
                    killed += 1
            time.sleep(0.02)
    return harness.returncode, killed


def test_a_killed_cell_is_a_crash_by_that_signal(
    tmp_path: Path, all_faults: bool, figures: Figures
) -> None:
    scene = Scene.make(tmp_path / "scene", cells=24 if all_faults else 8)
    flag, fault = scene.root / "shown" / "slowly", tmp_path / "slowly.py"
    flag.touch()
    fault.write_text(SLOWLY.format(flag=str(flag)))
    command = scene.run_command("--fault", str(fault))

    code, killed = kill_each(scene, command, within_s=1.0)
    records = scene.records()
    assert killed == len(records) == len(scene.cells)
    assert {record.status for record in records} == {"CRASHED"}
    assert {record.failure.kind for record in records if record.failure} == {"SIGKILL"}
    assert code == 1
    scene.wait_for_silence()

    flag.unlink()
    again = scene.end(command)
    assert {record.status for record in scene.records()} == {"COMPLETED"}
    assert scene.leftovers() == []
    figures.add(
        "`kill -9` of a cell",
        f"{killed} kills within 1 s of the start",
        "each CRASHED by SIGKILL, exit code 1; all of them run again",
        f"{again.seconds / len(records):.1f} s a cell",
    )


@pytest.mark.enduring
@pytest.mark.trains
def test_a_killed_fine_tune_is_a_crash_by_that_signal(tmp_path: Path, figures: Figures) -> None:
    scene = Scene.make(tmp_path / "scene", cells=4)
    scene.extra["HARNESS_CACHE"] = str(cache_dir())
    code, killed = kill_each(scene, scene.run_command("--fresh", jobs=2), within_s=6.0)
    assert killed == 4
    assert code == 1
    for record in scene.records():
        assert record.status == "CRASHED"
        assert record.failure is not None
        assert record.failure.kind == "SIGKILL"
    scene.wait_for_silence()
    assert scene.leftovers() == []
    figures.add(
        "`kill -9` of a cell that trains",
        f"{killed} kills within 6 s of the start",
        "each CRASHED by SIGKILL, exit code 1",
    )
