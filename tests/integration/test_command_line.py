"""The command line fails loudly: what happened, the offending value, an exit code of its own."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

UNSLOTH = "unsloth-2026.10.9/cpu/float32/mild"


def harness(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "harness", *arguments], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["run", "unsloth-2026.10.9/cpu/float32"], 12, "not a cell id"),
        (["run", "unsloth-1999.1.1/cpu/float32/mild"], 13, "unsloth-1999.1.1"),
        (["run", "unsloth-2026.10.9/cpu/float12/mild"], 12, "float12"),
        (["run", "unsloth-2026.10.9/cpu/float32/lukewarm"], 12, "lukewarm"),
        (["run", "unsloth-2026.10.9/h100/float32/mild"], 17, "h100"),
        (["run", UNSLOTH, "--model", "nowhere"], 14, "nowhere"),
        (["run", UNSLOTH, "--data", "nowhere.tsv"], 14, "nowhere.tsv"),
        (["run", UNSLOTH, "--scale", "huge"], 12, "huge"),
        (["run", UNSLOTH, "--fault", "nowhere.py"], 14, "nowhere.py"),
        (["report", "nowhere"], 14, "nowhere"),
    ],
)
def test_error_names_the_offending_value(arguments: list[str], code: int, says: str) -> None:
    result = harness(*arguments)
    assert result.returncode == code, result.stderr
    assert says in result.stderr
    assert "Traceback" not in result.stderr


def test_bad_matrix_names_the_key(tmp_path: Path) -> None:
    matrix = tmp_path / "matrix.toml"
    matrix.write_text("schema = 1\nreleases = []\n[recipes.mild]\n[[cells]]\nstacks = 3\n")
    result = harness("cells", "--matrix", str(matrix))
    assert result.returncode == 11
    assert "releases = []: List should have at least 1 item" in result.stderr


def test_corrupt_report_is_named(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text('{"cells": [')
    result = harness("report", str(tmp_path))
    assert result.returncode == 16
    assert "result.json" in result.stderr


def test_ctrl_c_leaves_no_process_and_no_record(tmp_path: Path) -> None:
    cell = "reference-2026.10.9/cpu/float32/mild"
    with subprocess.Popen(
        [sys.executable, "-m", "harness", "run", cell],
        env={**os.environ, "HARNESS_REPORTS": str(tmp_path)},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if ": load" in line:
                break
        payloads = psutil.Process(process.pid).children(recursive=True)
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
    assert process.returncode == 2
    assert "interrupted" in rest
    assert payloads
    assert not any(payload.is_running() for payload in payloads)
    assert not list(tmp_path.rglob("records/*/*.json"))


def test_cells_lists_the_default_matrix() -> None:
    listed = harness("cells").stdout.split()
    assert UNSLOTH in listed
    assert len(listed) == len(set(listed))
