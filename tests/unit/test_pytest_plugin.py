"""The gate's exit status as a shell sees it: pytest in a process of its own over a judged run."""

import subprocess
import sys
from pathlib import Path

import pytest

from harness.gate import GateResult
from harness.verdict import Outcome
from tests.unit.gate_results import MIXED_UP, RIGHT, gate, on_release

CONFTEST = """
from pathlib import Path
from types import SimpleNamespace

from harness.gate import GateResult
from harness.pytest_plugin import _GATE


def pytest_configure(config):
    text = Path("result.json").read_text(encoding="utf-8")
    config.stash[_GATE] = SimpleNamespace(result=GateResult.model_validate_json(text), folder=None)
"""


@pytest.mark.parametrize(
    ("result", "body", "code"),
    [
        (gate(on_release("2025.8.6"), on_release("2026.1.4")), "pass", 0),
        (
            gate(
                on_release("2025.8.6", evaluations=RIGHT),
                on_release("2026.1.4", evaluations=MIXED_UP),
            ),
            "pass",
            1,
        ),
        (gate(on_release("2025.8.6"), on_release("2026.1.4", Outcome.TIMEOUT)), "pass", 19),
        (gate(on_release("2025.8.6"), on_release("2026.1.4")), "assert False", 1),
    ],
    ids=["sound", "moved loss", "no answer", "failing test"],
)
def test_the_session_ends_with_the_code_of_the_gate(
    result: GateResult, body: str, code: int, tmp_path: Path
) -> None:
    (tmp_path / "result.json").write_text(result.model_dump_json(), encoding="utf-8")
    (tmp_path / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    (tmp_path / "test_gate.py").write_text(f"def test_it():\n    {body}\n", encoding="utf-8")

    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == code, done.stdout + done.stderr


def test_pairs_of_processes_are_not_sent_to_a_cluster(tmp_path: Path) -> None:
    gate = ["tests/matrix", "--throughput", "--dispatch", "ray"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *gate],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == pytest.ExitCode.USAGE_ERROR, done.stdout + done.stderr
    assert "leave --dispatch out" in done.stdout + done.stderr
