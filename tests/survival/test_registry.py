"""A registry that answers slowly, wrongly or not at all: an end within a stated time, and a second try that works."""

import time

import pytest

from tests.survival.conftest import Figures
from tests.survival.registry import Manner, Registry
from tests.survival.scene import LIMIT_S, Scene
from tests.survival.test_disk_full import long
from tests.survival.test_harness_killed import kill_at

# What uv may take (HARNESS_UV_TIMEOUT) and what the harness takes around it, the environment's making included.
BOUND_S = 8.0 + 7.0

SAYS: dict[Manner, str] = {
    "slowly": "HARNESS_UV_TIMEOUT",
    "not at all": "Check the network",
    "with 500": "500",
    "with a reset": "Check the network",
    "cut short": "Check the network",
    "with other bytes": "ash mismatch",
}


@pytest.mark.parametrize("manner", [m if m == "with other bytes" else long(m) for m in SAYS])
def test_a_registry_that_answers(manner: Manner, scene: Scene, figures: Figures) -> None:
    cache = scene.root / "built"
    with Registry.serving(scene.root) as registry:
        registry.manner = manner
        scene.extra |= registry.environment(scene.root) | {"HARNESS_CACHE": str(cache)}
        ended = scene.end(registry.build_command())
        assert any(path.endswith(".whl") for path in registry.asked)
        assert ended.code == 15, ended.output
        assert SAYS[manner] in ended.output
        assert "Traceback" not in ended.output
        assert ended.seconds < BOUND_S
        assert not list(cache.rglob("stack.json"))
        assert scene.processes() == []
        assert scene.leftovers() == []

        registry.manner = "well"
        again = scene.end(registry.build_command())
    assert again.code == 0, again.output
    assert "built and imported" in again.output
    figures.add(
        f"a registry that answers {manner}",
        "1",
        f"exit code 15 after {ended.seconds:.1f} s (uv given 2 s a read, 8 s in all)",
        f"{again.seconds:.1f} s once it answers well",
    )


def test_uv_dies_with_the_harness(scene: Scene, figures: Figures) -> None:
    with Registry.serving(scene.root) as registry:
        registry.manner = "slowly"
        scene.extra |= registry.environment(scene.root)
        scene.extra |= {"HARNESS_CACHE": str(scene.root / "built"), "HARNESS_UV_TIMEOUT": "60"}
        with scene.start(registry.build_command()) as harness:
            deadline = time.monotonic() + LIMIT_S
            while not any(path.endswith(".whl") for path in registry.asked):
                assert time.monotonic() < deadline
                time.sleep(0.02)
            harness.kill()
            harness.wait()
        silent = scene.wait_for_silence()
        registry.manner = "well"
        again = scene.end(registry.build_command())
    assert again.code == 0, again.output
    figures.add(
        "`kill -9` of the harness while uv installs",
        "1",
        f"uv gone after {silent:.2f} s; the half environment is built anew",
        f"{again.seconds:.1f} s",
    )


def test_a_build_killed_at_any_moment_is_never_believed(
    scene: Scene, all_faults: bool, figures: Figures
) -> None:
    times = 20 if all_faults else 1
    with Registry.serving(scene.root, payload_bytes=200_000) as registry:
        scene.extra |= registry.environment(scene.root)
        scene.extra["HARNESS_CACHE"] = str(scene.root / "first")
        lasts = scene.end(registry.build_command()).seconds
        killed = 0
        while killed < times:
            scene.extra["HARNESS_CACHE"] = str(scene.root / f"built-{time.monotonic_ns()}")
            delay = lasts * (0.3 + 0.7 * (killed + 0.5) / times)
            killed += kill_at(scene, registry.build_command(), delay)
            scene.wait_for_silence()
            again = scene.end(registry.build_command())
            assert again.code == 0, again.output
            assert "built and imported" in again.output
    figures.add(
        "`kill -9` of the harness while it builds",
        f"{killed} kills, over the length of a build",
        "every second try builds an environment that imports",
        f"{again.seconds:.1f} s",
    )
