"""The wall clock jumps by hours while cells run: durations and limits are the monotonic clock's."""

import sys
from datetime import datetime, timedelta

import pytest

from harness import reports
from tests.survival.conftest import Figures
from tests.survival.scene import Scene, lost


def jumping(command: list[str]) -> list[str]:
    """The same command, with a clock that jumps."""
    assert command[1:3] == ["-m", "harness"]
    return [command[0], "-m", "tests.survival.clock_session", *command[3:]]


def test_durations_and_order_survive(scene: Scene, all_faults: bool, figures: Figures) -> None:
    times = 5 if all_faults else 1
    gone = 0
    moments = []
    for _ in range(times):
        scene.end(scene.run_command(cells=scene.cells[:2]))
        before = scene.snapshot()
        ended = scene.end(jumping(scene.run_command()))
        assert ended.code == 1, ended.output
        assert "Traceback" not in ended.output
        gone += lost(before, scene.snapshot())
        assert gone == 0
        for record in scene.records():
            assert record.status == "COMPLETED"
            assert 0 < record.duration_s < 30
            assert all(phase.wall_s >= 0 for phase in record.phases)
            moments.append(datetime.fromisoformat(record.started_at))
        for folder in scene.whole_reports():
            assert 0 <= reports.load(folder).duration_s < 60

        # Judged again by their moments, which are hours apart and in no order.
        again = scene.end(
            [sys.executable, "-m", "harness", "report", str(scene.root / "reports" / "records")]
        )
        assert again.code == 1, again.output
        assert "Traceback" not in again.output
        scene.root.joinpath("reports").rename(scene.root / f"reports-{len(moments)}")
        scene.root.joinpath("reports").mkdir()
    apart = max(moments) - min(moments)
    assert apart > timedelta(hours=5)
    figures.add(
        "the clock jumps by hours",
        f"{times} runs, a jump every 50 ms; starts up to {apart.total_seconds() / 3600:.0f} h apart",
        "every duration that of the monotonic clock; reports and order of records without error",
        lost=gone,
    )


@pytest.mark.enduring
def test_a_time_limit_is_not_moved(scene: Scene, figures: Figures) -> None:
    fault = scene.root / "slow.py"
    fault.write_text("import time; time.sleep(60)")
    command = scene.run_command("--fault", str(fault), "--timeout", "3", cells=scene.cells[:1])
    ended = scene.end(jumping(command))
    (record,) = scene.records()
    assert (record.status, ended.code) == ("TIMEOUT", 19), ended.output
    assert 3 <= record.duration_s < 8
    scene.wait_for_silence()
    figures.add(
        "the clock jumps while a cell hangs",
        "1, limit 3 s",
        f"TIMEOUT after {record.duration_s:.1f} s, exit code 19",
    )
