"""A machine with torch, transformers and pip, and no registry: a wheelhouse is all it needs."""

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from typer.testing import CliRunner

from harness.cli.main import app
from harness.kept_records import read_folders
from harness.record import Record, read_record
from harness.stacks import environments
from harness.stacks.stack import load_stack

STACK = "reference-2026.10.9"
CELL = f"{STACK}/cpu/float32/ragged"


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python with pip that has the packages of the reference stack, and nothing of ours."""
    folder = tmp_path_factory.mktemp("machine")
    venv.create(folder, with_pip=True)
    environments.ensure(load_stack(STACK, "cpu"))
    (theirs,) = environments.folder_of(load_stack(STACK, "cpu")).glob("lib/python*/site-packages")
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "torch_and_more.pth").write_text(f"{theirs}\n")
    return folder / "bin" / "python"


@pytest.fixture(scope="session")
def house(machine: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("house")
    freeze = folder / "freeze.txt"
    listed = subprocess.run([machine, "-m", "pip", "freeze"], capture_output=True, check=True)
    freeze.write_bytes(listed.stdout)
    python = ".".join(map(str, sys.version_info[:2]))
    words = ["stack", "export", STACK, "--wheelhouse", str(folder), "--beside", str(freeze)]
    done = CliRunner().invoke(app, [*words, "--python", python])
    assert done.exit_code == 0, done.output
    return folder


def gate(
    house: Path, machine: Path, tmp_path: Path, seconds: int, *words: str, reports: str = "reports"
) -> "subprocess.CompletedProcess[str]":
    """Run a command there, the cell's without words, with every registry out of reach."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    environment = {
        **kept,
        "GATE_PYTHON": str(machine),
        "GATE_SECONDS": str(seconds),
        "HARNESS_CACHE": str(tmp_path / "cache"),
        "HARNESS_REPORTS": str(tmp_path / reports),
        "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
        "UV_INDEX_URL": "http://127.0.0.1:9/simple",
    }
    return subprocess.run(
        ["bash", house / "gate.sh", "harness", *(words or ("run", CELL))],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_one_command_trains_and_the_next_window_goes_on(
    house: Path, machine: Path, tmp_path: Path
) -> None:
    cut = gate(house, machine, tmp_path, seconds=4)
    assert cut.returncode in (2, 124), cut.stdout + cut.stderr
    assert not list((tmp_path / "reports").glob("records/*/*.json")), "a run that was cut off"
    done = gate(house, machine, tmp_path, seconds=300)
    assert done.returncode == 0, done.stdout + done.stderr
    record = the_record(tmp_path / "reports")
    assert record.status == "COMPLETED"
    assert any("as this machine has them" in said for said in record.stack.overrides)
    again = gate(house, machine, tmp_path, seconds=300)
    assert again.returncode == 0
    assert the_record(tmp_path / "reports") == record


PARTS = f"""
schema = 1
[[parts]]
name = "first"
matrix = "matrix.toml"
cells = ["{CELL}"]
seconds = 20
[[parts]]
name = "for the next window"
matrix = "matrix.toml"
cells = ["{CELL}+seed=1"]
seconds = 120
"""


def test_two_windows_on_bare_machines_measure_everything_once(
    house: Path, machine: Path, tmp_path: Path
) -> None:
    (tmp_path / "parts.toml").write_text(PARTS)
    keep = tmp_path / "window.tgz"
    words = ["window", "--parts", "parts.toml", "--kept", str(keep), "--minutes"]
    first = gate(house, machine, tmp_path, 0, *words, "2")
    assert first.returncode == 19, first.stdout + first.stderr
    measured = the_record(tmp_path / "reports")
    assert measured.status == "COMPLETED"
    assert keep.stat().st_size < 64 * 1024
    second = gate(house, machine, tmp_path, 0, *words, "9", reports="another machine's")
    assert second.returncode == 0, second.stdout + second.stderr
    records = {r.cell_id: r for r in read_folders([tmp_path / "another machine's"])}
    assert records[CELL] == measured
    assert records[f"{CELL}+seed=1"].status == "COMPLETED"


def the_record(reports: Path) -> Record:
    (path,) = reports.glob("records/*/*.json")
    return read_record(path)
