"""Cells on a Ray cluster of three nodes, one of which is killed while it trains."""

import io
import json
import os
import shutil
import subprocess
import sys
from typing import Any

import pytest
from rich.console import Console

from harness.dispatch.cluster.ray_cluster import RayCluster
from harness.dispatch.cluster.ray_resources import accelerators
from harness.errors import HardwareError
from harness.hardware import load_profiles
from harness.locations import cache_dir
from harness.plan import Options, Plan
from tests.integration import ray_session

CELLS = [
    "reference-2026.10.9/cpu/float32/ragged",
    "reference-2026.10.9/cpu/float32/ragged+seed=1",
    "unsloth-2026.10.9/t4-emulated/auto/ragged",
]

pytestmark = pytest.mark.trains


def in_a_network_of_its_own(*command: str) -> list[str]:
    # Ray binds an address of the machine, whatever it is told: there it finds loopback alone.
    return ["unshare", "-rn", "sh", "-c", 'ip link set lo up && exec "$@"', "sh", *command]


def cannot() -> str:
    """Why there is no network namespace here; empty if there is."""
    if not shutil.which("unshare") or not shutil.which("ip"):
        return "no `unshare` or no `ip` (util-linux, iproute2)"
    tried = subprocess.run(
        in_a_network_of_its_own("true"), capture_output=True, text=True, check=False
    )
    return tried.stderr.strip() if tried.returncode else ""


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    pytest.importorskip("ray", reason="the extra `ray` is not installed")
    if why := cannot():
        pytest.skip(f"Ray must not listen beyond loopback, and there is no namespace for it: {why}")
    # Not pytest's own: the paths of Ray's sockets must be short.
    folder = tmp_path_factory.mktemp("ray", numbered=False)
    for name in ("home", "tmp", "reports"):
        (folder / name).mkdir()
    out = folder / "out.json"
    environment = {
        **os.environ,
        "HOME": str(folder / "home"),
        "TMPDIR": str(folder / "tmp"),
        "RAY_TMPDIR": str(folder),
        "RAY_AUTH_MODE": "disabled",
        "RAY_USAGE_STATS_ENABLED": "0",
        "HARNESS_REPORTS": str(folder / "reports"),
        "HARNESS_CACHE": str(cache_dir()),
    }
    command = in_a_network_of_its_own(sys.executable, "-m", ray_session.__name__, str(out), *CELLS)
    with (folder / "output.txt").open("w") as output:
        subprocess.run(
            command, env=environment, stdout=output, stderr=output, timeout=300, check=False
        )
    assert out.exists(), (folder / "output.txt").read_text()[-4000:]
    found: dict[str, Any] = json.loads(out.read_text())
    return found


def test_nothing_is_lost_with_a_node(session: dict[str, Any]) -> None:
    assert session["nodes"] == "this cluster of 3 nodes"
    assert "failed it, again elsewhere" in session["said"]
    assert {cell: found["status"] for cell, found in session["first"].items()} == dict.fromkeys(
        CELLS, "COMPLETED"
    )


def test_results_are_this_machine_s_to_the_bit(session: dict[str, Any]) -> None:
    plan = Plan(Options())
    runs = plan.runs([plan.matrix.cell(cell) for cell in CELLS])
    here = ray_session.summary(plan.execute(runs, Console(file=io.StringIO())))
    there = session["first"]
    for cell in CELLS:
        assert there[cell]["eval_losses"] == here[cell]["eval_losses"], cell
        assert there[cell]["adapter"] == here[cell]["adapter"], cell
        assert there[cell]["adapter"]


def test_what_is_finished_never_runs_again(session: dict[str, Any]) -> None:
    assert [found["reused"] for found in session["again"].values()] == [True] * len(CELLS)


def test_a_card_that_no_node_has_is_said_at_once(session: dict[str, Any]) -> None:
    assert "no such GPU in this cluster of 3 nodes: t4" in session["no_t4"]
    assert "present: cpu" in session["no_t4"]


def test_a_node_that_only_says_that_it_has_a_card_refuses(session: dict[str, Any]) -> None:
    # Ray handed out its T4, and there is none.
    assert "HardwareError: no such GPU in this machine: t4" in session["t4"]["reason"]


def test_ctrl_c_leaves_no_process(session: dict[str, Any]) -> None:
    assert session["interrupted"] is True
    assert session["left_behind"] == 0


@pytest.mark.parametrize(
    ("address", "says"),
    [("127.0.0.1:1", "no Ray cluster at 127.0.0.1:1: "), ("ray://127.0.0.1:1", "Ray Client")],
)
def test_an_address_without_a_cluster_is_said_at_once(address: str, says: str) -> None:
    pytest.importorskip("ray", reason="the extra `ray` is not installed")
    with pytest.raises(HardwareError, match=says):
        RayCluster(address)


def test_accelerators_are_named_as_ray_finds_them() -> None:
    nvidia = pytest.importorskip("ray._private.accelerators.nvidia_gpu")
    named = nvidia.NvidiaGPUAcceleratorManager._gpu_name_to_accelerator_type
    cards = [card for card in load_profiles().values() if card.accelerator]
    assert {card.slug for card in cards} >= {"t4", "l4", "a100", "h100", "h200"}
    for card in cards:
        for name in card.names:
            assert card.slug in accelerators([f"accelerator_type:{named(name)}"]), name
