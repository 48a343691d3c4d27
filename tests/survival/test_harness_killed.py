"""kill -9 of the harness at random moments: what was finished stays, nothing else is believed or left."""

import random
import statistics
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import pytest

from harness import reports
from harness.locations import cache_dir
from tests.survival.conftest import Figures
from tests.survival.scene import LIMIT_S, Scene, Snapshot, lost


@dataclass
class Kill:
    """What one kill came to."""

    moment: str
    kept: int
    lost: int
    silent_s: float
    recovery_s: float


def kill_at(scene: Scene, command: list[str], delay_s: float) -> bool:
    """Start a command and kill it, with nothing that it started, after a while; False: it was faster."""
    with scene.start(command) as harness:
        try:
            harness.wait(delay_s)
        except subprocess.TimeoutExpired:
            harness.kill()
            harness.wait()
            return True
    return False


def moment_of(scene: Scene, finished: Snapshot) -> str:
    """Say in words what the harness was at when it died."""
    if len(finished) == len(scene.cells):
        return "at the report"
    if finished:
        return "between the first and the last record"
    return (
        "before the first record" if any(scene.root.glob("reports/*/*/*.lock")) else "at its start"
    )


def survive(scene: Scene, command: list[str], delay_s: float, again: list[str]) -> Kill | None:
    """Kill a run, start again, and see that nothing is lost, believed or left."""
    if not kill_at(scene, command, delay_s):
        return None
    silent = scene.wait_for_silence()
    finished = scene.snapshot()
    assert {record.status for record in scene.records()} <= {"COMPLETED"}
    moment = moment_of(scene, finished)
    scene.whole_reports()

    ended = scene.end(again)
    assert ended.code in (0, 1), ended.output
    assert "Traceback" not in ended.output
    gone = lost(finished, scene.snapshot())
    assert gone == 0
    records = scene.records()
    assert {record.cell_id for record in records} == set(scene.cells)
    assert {(record.status, len(record.evaluations) >= 4) for record in records} == {
        ("COMPLETED", True)
    }
    result = reports.load(scene.whole_reports()[-1])
    assert sum(cell.reused for cell in result.cells) == len(finished)
    assert scene.leftovers() == []
    assert scene.processes() == []
    return Kill(moment, len(finished), gone, silent, ended.seconds)


def add(figures: Figures, failure: str, kills: list[Kill]) -> None:
    moments = Counter(kill.moment for kill in kills)
    said = ", ".join(f"{number} {moment}" for moment, number in moments.most_common())
    figures.add(
        failure,
        f"{len(kills)}: {said}",
        f"{sum(kill.kept for kill in kills)} finished records kept to the inode, the rest run again; payloads "
        f"gone after {max(kill.silent_s for kill in kills):.2f} s at most",
        f"{statistics.median(kill.recovery_s for kill in kills):.1f} s to the report (median)",
        sum(kill.lost for kill in kills),
    )


def new_reports(scene: Scene) -> None:
    """Go on without what was finished so far."""
    (scene.root / "reports").rename(scene.root / f"reports-{time.monotonic_ns()}")
    (scene.root / "reports").mkdir()


def ways(scene: Scene) -> Iterator[list[str]]:
    """Of starting the harness, the plainest most often."""
    return cycle(
        [scene.run_command(), scene.gate_command(), scene.run_command(), scene.run_command()]
    )


def test_whenever_it_is_killed(scene: Scene, all_faults: bool, figures: Figures) -> None:
    wanted = 100 if all_faults else 3
    lasts = scene.end(scene.run_command()).seconds
    kills: list[Kill] = []
    started = ways(scene)
    deadline = time.monotonic() + wanted * LIMIT_S
    while len(kills) < wanted:
        assert time.monotonic() < deadline
        new_reports(scene)
        command = next(started)
        # At random, and over the whole length of a run even where there are few.
        delay = lasts * (0.25 + 0.75 * (len(kills) + random.random()) / wanted)
        kill = survive(scene, command, delay, scene.run_command())
        kills += [kill] if kill else []
        lasts = lasts if kill else delay  # The machine is less busy than it was.
    add(figures, "`kill -9` of the harness", kills)


def test_whenever_it_is_killed_with_preloaded_processes(
    scene: Scene, all_faults: bool, figures: Figures
) -> None:
    kills: list[Kill] = []
    lasts = scene.end(scene.preloaded_command()).seconds
    while len(kills) < (20 if all_faults else 1):
        new_reports(scene)
        delay = random.uniform(0.5, lasts)
        if not kill_at(scene, scene.preloaded_command(), delay):
            lasts = delay
            continue
        silent = scene.wait_for_silence()
        finished = scene.snapshot()
        moment = moment_of(scene, finished)
        ended = scene.end(scene.preloaded_command())
        assert ended.code == 0, ended.output
        gone = lost(finished, scene.snapshot())
        assert gone == 0
        assert len(scene.records()) == len(scene.cells)
        assert scene.leftovers() == []
        kills.append(Kill(moment, len(finished), gone, silent, ended.seconds))
    add(figures, "`kill -9` of the harness, preloaded cells", kills)


@pytest.mark.enduring
@pytest.mark.trains
def test_whenever_it_is_killed_while_it_trains(tmp_path: Path, figures: Figures) -> None:
    scene = Scene.make(tmp_path / "scene", cells=2)
    scene.extra["HARNESS_CACHE"] = str(cache_dir())
    kills: list[Kill] = []
    lasts = scene.end(scene.run_command(jobs=1)).seconds
    while len(kills) < 4:
        new_reports(scene)
        delay = random.uniform(2.0, lasts)
        command = scene.run_command(jobs=1)
        kill = survive(scene, command, delay, command)
        kills += [kill] if kill else []
    add(figures, "`kill -9` of the harness, cells that train", kills)
