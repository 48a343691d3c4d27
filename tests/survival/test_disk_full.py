"""Disk full: named with what to change, earlier results intact, nothing half-written, no verdict on the library."""

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from harness.locations import cache_dir
from tests.survival.conftest import Figures
from tests.survival.registry import Registry
from tests.survival.scene import Ended, Scene, Snapshot, lost

NAMESPACE = ["unshare", "--map-root-user", "--mount"]
FULL = subprocess.run([*NAMESPACE, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True)
needs_small_disk = pytest.mark.skipif(
    FULL.returncode != 0, reason=f"no mount in a user namespace here: {FULL.stderr.decode()}"
)


def long(value: object) -> ParameterSet:
    """Mark a parameter that is not in the sample."""
    return pytest.param(value, marks=pytest.mark.enduring)


def on_small_disk(scene: Scene, folder: Path, size_kib: int, *commands: list[str]) -> Ended:
    """Run commands with a disk of some KiB at `folder`, which has what was there before.

    What is there afterwards stays. The last command's code is the answer.
    """
    aside = folder.with_name(f"{folder.name}-aside")
    shutil.copytree(folder, aside)
    script = [
        f"mount -t tmpfs -o size={size_kib}k none {folder}",
        f"cp -a {aside}/. {folder}/",
        *(shlex.join(command) for command in commands),
        "code=$?",
        f"rm -rf {aside}",
        f"mkdir {aside}",
        f"cp -a {folder}/. {aside}/",
        "exit $code",
    ]
    ended = scene.end([*NAMESPACE, "sh", "-c", "\n".join(script)])
    shutil.rmtree(folder)
    aside.rename(folder)
    return ended


def contents(taken: Snapshot) -> dict[Path, bytes]:
    return {path: data for path, (_, _, data) in taken.items()}


@needs_small_disk
@pytest.mark.parametrize("free_kib", [long(4), 24, long(60), long(300)])
def test_full_reports_folder(scene: Scene, free_kib: int, figures: Figures) -> None:
    folder = scene.root / "reports"
    assert scene.end(scene.run_command(cells=scene.cells[:2])).code == 1
    before = contents(scene.snapshot())
    used = sum(-(-path.stat().st_size // 4096) * 4 for path in folder.rglob("*") if path.is_file())
    old_reports = scene.whole_reports()

    ended = on_small_disk(scene, folder, used + free_kib, scene.run_command())
    assert ended.code == 18, ended.output
    assert "No space left on device" in ended.output
    assert "HARNESS_REPORTS" in ended.output or "choose another folder" in ended.output
    assert "Traceback" not in ended.output
    after = contents(scene.snapshot())
    gone = sum(after.get(path) != data for path, data in before.items())
    assert gone == 0
    scene.records()
    assert scene.whole_reports()[: len(old_reports)] == old_reports
    assert scene.leftovers() == []
    kept = len(scene.records())

    again = scene.end(scene.run_command())
    assert again.code == 1
    assert len(scene.records()) == len(scene.cells)
    figures.add(
        "disk full, records and reports",
        f"{free_kib} KiB free",
        f"exit code 18; {kept} of 8 records kept, every file whole",
        f"{again.seconds:.1f} s with space",
        gone,
    )


@pytest.mark.enduring
@pytest.mark.parametrize("limit_kib", [1, 4, 16, 64])
def test_files_that_may_not_grow(scene: Scene, limit_kib: int, figures: Figures) -> None:
    assert scene.end(scene.run_command(cells=scene.cells[:2])).code == 1
    before = scene.snapshot()
    resource_limited = [sys.executable, "-m", "tests.survival.limited", str(limit_kib * 1024)]
    ended = scene.end([*resource_limited, *scene.run_command()])
    assert ended.code in (18, 19), ended.output
    assert "Traceback" not in ended.output
    gone = lost(before, scene.snapshot())
    assert gone == 0
    scene.records()
    scene.whole_reports()
    assert scene.leftovers() == []
    figures.add(
        "files that may not grow (RLIMIT_FSIZE)",
        f"{limit_kib} KiB",
        f"exit code {ended.code}",
        lost=gone,
    )


FILL = """
if step == 3:
    from pathlib import Path
    with open(Path(job.work_dir) / "filler", "wb") as filler:
        while True:
            filler.write(b"x" * 4096)
            filler.flush()
"""


@needs_small_disk
@pytest.mark.parametrize("free_kib", [long(4), 40, long(400)])
def test_full_work_folder(scene: Scene, free_kib: int, figures: Figures) -> None:
    scene.end(scene.run_command(cells=scene.cells[1:3]))
    before = contents(scene.snapshot())
    fault = scene.root / "fill.py"
    fault.write_text(FILL)
    command = scene.run_command("--fault", str(fault), cells=scene.cells[:1])
    ended = on_small_disk(scene, scene.root / "tmp", free_kib, command)
    assert ended.code == 19, ended.output
    assert "TMPDIR" in ended.output
    (record,) = (record for record in scene.records() if record.fault)
    assert record.status == "INFRA"
    assert record.failure is not None
    assert "No space left" in record.failure.message or "no space left" in record.failure.message
    assert contents(scene.snapshot()).items() >= before.items()
    assert ended.seconds < 30
    scene.wait_for_silence()
    figures.add(
        "disk full, where a cell works",
        f"{free_kib} KiB",
        f"INFRA ({record.failure.kind}) in phase {record.failure.phase}, exit code 19",
    )


@needs_small_disk
@pytest.mark.enduring
@pytest.mark.trains
@pytest.mark.parametrize("free_kib", [100, 300])
def test_full_work_folder_of_a_fine_tune(tmp_path: Path, free_kib: int, figures: Figures) -> None:
    scene = Scene.make(tmp_path / "scene", cells=1)
    scene.extra["HARNESS_CACHE"] = str(cache_dir())
    ended = on_small_disk(scene, scene.root / "tmp", free_kib, scene.run_command())
    (record,) = scene.records()
    assert (record.status, ended.code) == ("INFRA", 19), ended.output
    assert record.failure is not None
    assert "TMPDIR" in record.failure.message
    figures.add(
        "disk full, where a cell trains",
        f"{free_kib} KiB",
        f"INFRA ({record.failure.kind}) in phase {record.failure.phase}, exit code 19",
    )


@needs_small_disk
@pytest.mark.parametrize("free_kib", [long(4), long(32), 700])
def test_full_cache_while_a_stack_is_built(scene: Scene, free_kib: int, figures: Figures) -> None:
    cache = scene.root / "built"
    cache.mkdir()
    with Registry.serving(scene.root, payload_bytes=1_000_000) as registry:
        scene.extra |= registry.environment(scene.root) | {"HARNESS_CACHE": str(cache)}
        ended = on_small_disk(scene, cache, free_kib, registry.build_command())
        assert ended.code == 15, ended.output
        assert "Traceback" not in ended.output
        assert "HARNESS_CACHE" in ended.output or "disk" in ended.output
        assert not list(cache.rglob("stack.json"))
        again = scene.end(registry.build_command())
    assert again.code == 0, again.output
    assert "built and imported" in again.output
    figures.add(
        "disk full, while a stack is built",
        f"{free_kib} KiB",
        "exit code 15; what there is of the environment is not believed",
        f"{again.seconds:.1f} s with space",
    )
