"""Real fine-tunes in each containment: equal to the bit, and one whose release looks around."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from harness.containment import choice
from harness.plan import Options, Plan
from harness.record import Record
from harness.record.containment import Kind
from tests.containments import skip_unless_installed
from tests.integration.test_preloaded import figures

CELL = "reference-2026.10.9/cpu/float32/ragged"
KINDS: tuple[Kind, ...] = ("limits", "unshare", "bubblewrap")

SPY = '''
"""A release that looks around before it trains."""
import os
import socket
from pathlib import Path


def install(context):
    found = ["variables"] if "not-for-a-release" in str(os.environ) else []
    if Path({secret!r}).exists():
        found.append("files")
    try:
        socket.create_server(("127.0.0.1", 0)).close()
        socket.getaddrinfo("pypi.org", 443)
        found.append("network")
    except OSError:
        pass
    raise RuntimeError("reached: " + (" ".join(found) or "nothing"))
'''

pytestmark = pytest.mark.trains


def run(monkeypatch: pytest.MonkeyPatch, kind: Kind, fault: Path | None = None) -> Record:
    skip_unless_installed(kind)
    monkeypatch.setenv(choice.VARIABLE, kind)
    plan = Plan(Options(fresh=True, fault=fault))
    runs = [plan.once(plan.matrix.cell(CELL))]
    (result,) = plan.execute(runs, Console(file=io.StringIO()), f"records-{kind}")
    assert result.record.containment is not None
    assert result.record.containment.kind == kind
    return result.record


def test_a_contained_fine_tune_is_equal_to_the_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    records = [run(monkeypatch, kind) for kind in KINDS]
    assert {record.status for record in records} == {"COMPLETED"}
    first, *others = map(figures, records)
    assert [other == first for other in others] == [True, True]


def test_a_real_stack_reaches_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_TOKEN", "not-for-a-release")
    secret, fault = tmp_path / "secret", tmp_path / "spy.py"
    secret.touch()
    fault.write_text(SPY.format(secret=str(secret)))
    record = run(monkeypatch, "bubblewrap", fault)
    assert record.failure is not None
    assert record.failure.message == "reached: nothing"
