"""Two harnesses on one folder: each cell runs once, both have every result, neither waits deaf."""

import os
import signal
import subprocess
import time
from pathlib import Path

from harness import reports
from tests.survival.conftest import Figures
from tests.survival.scene import LIMIT_S, ROOT, Scene
from tests.survival.test_payload_killed import SLOWLY

NOTED = """
if step == 1:
    with open({file!r}, "a") as noted:
        noted.write(job.cell_id + chr(10))
"""


def start(scene: Scene, command: list[str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=scene.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # A shell's background job ignores Ctrl-C, and so does all that it starts.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def test_no_cell_runs_twice(tmp_path: Path, all_faults: bool, figures: Figures) -> None:
    times = 15 if all_faults else 1
    seconds = []
    for number in range(times):
        scene = Scene.make(tmp_path / f"scene-{number}", cells=8)
        noted, fault = scene.root / "noted", scene.root / "noted.py"
        # What a contained cell notes outside its folder, nobody sees.
        scene.extra["HARNESS_CONTAINMENT"] = "limits"
        fault.write_text(NOTED.format(file=str(noted)))
        shares = [scene.cells[:6], scene.cells[:1:-1]]
        began = time.monotonic()
        started = [
            start(scene, scene.run_command("--fault", str(fault), cells=share, jobs=2))
            for share in shares
        ]
        outputs = [process.communicate(timeout=LIMIT_S)[0] for process in started]
        seconds.append(time.monotonic() - began)

        # Stand-ins are judged red; anything else is an error of the harness.
        assert [process.returncode for process in started] == [1, 1], outputs
        assert "Traceback" not in "".join(outputs)
        assert sorted(noted.read_text().split()) == sorted(scene.cells)
        assert len(scene.records()) == len(scene.cells)
        found = [reports.load(folder) for folder in scene.whole_reports()]
        assert sorted(sorted(c.record.cell_id for c in result.cells) for result in found) == sorted(
            sorted(share) for share in shares
        )
        assert scene.leftovers() == []
    figures.add(
        "two harnesses on one folder",
        f"{times} pairs, 4 of 8 cells in common, caches cold",
        f"{8 * times} cells, each run once; both reports whole, folders distinct",
        f"{max(seconds):.1f} s for a pair at most",
    )


def test_ctrl_c_ends_a_harness_that_waits_for_another(scene: Scene, figures: Figures) -> None:
    fault = scene.root / "slow.py"
    fault.write_text("import time; time.sleep(2)")
    command = scene.run_command("--fault", str(fault), cells=scene.cells[:1])
    first = start(scene, command)
    try:
        while not scene.payloads():
            time.sleep(0.05)
        second = start(scene, command)
        assert second.stdout is not None
        for line in second.stdout:
            if "another harness runs it" in line:
                break
        asked = time.monotonic()
        second.send_signal(signal.SIGINT)
        output = second.communicate(timeout=LIMIT_S)[0]
        took = time.monotonic() - asked
        assert second.returncode == 2, output
        assert first.poll() is None
    finally:
        first.kill()
        first.communicate()
    assert took < 10
    figures.add(
        "Ctrl-C while another harness has the cell",
        "1",
        f"exit code 2 after {took:.1f} s, the other goes on",
    )


def test_a_lock_dies_with_its_harness(scene: Scene, figures: Figures) -> None:
    flag, fault = scene.root / "shown" / "slowly", scene.root / "slow.py"
    flag.touch()
    fault.write_text(SLOWLY.format(flag=str(flag)))
    command = scene.run_command("--fault", str(fault), cells=scene.cells[:1])
    first = start(scene, command)
    while not scene.payloads():
        time.sleep(0.05)
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    flag.unlink()
    again = scene.end(command)
    assert again.code == 1
    assert "another harness" not in again.output
    assert [record.status for record in scene.records()] == ["COMPLETED"]
    figures.add("a lock whose holder is killed", "1", "free at once", f"{again.seconds:.1f} s")
