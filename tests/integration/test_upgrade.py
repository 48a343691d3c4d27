"""`harness upgrade` on two real lock files: read, resolved, trained on both stacks, answered."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from harness import reports
from harness.cli import main as cli
from harness.dependency_update import comment

pytestmark = pytest.mark.trains

LOCKS = Path(__file__).parent / "upgrade"


def test_a_dependency_update_is_answered_from_its_lock_files(
    reports_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    summary = tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))
    old, new = (LOCKS / side / "requirements.txt" for side in ("old", "new"))

    done = CliRunner().invoke(
        cli.app, ["upgrade", str(old), str(new), "--cells", "t4-emulated/auto/ragged"]
    )

    assert done.exit_code == 0, done.output
    line = new.read_text(encoding="utf-8").splitlines().index("unsloth==2026.10.9") + 1
    notice = f"::notice file={new},line={line},title=unsloth 2026.10.8 -> 2026.10.9::✓ SAFE"
    assert notice in done.output
    # What the file moves beside the stack is no part of the answer.
    assert "ruff" not in done.output
    text = summary.read_text(encoding="utf-8")
    assert text.startswith(f"{comment.MARKER}\n## ✓ SAFE: safe to merge")
    (run,) = (reports_folder / "runs").glob(f"*/{reports.RESULT_NAME}")
    assert [cell.outcome.value for cell in reports.load(run.parent).cells] == ["PASS", "PASS"]
