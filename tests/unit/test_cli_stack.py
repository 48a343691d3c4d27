from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from harness.cli.main import app
from harness.stacks import resolve
from harness.stacks.resolve import AddedStack
from harness.stacks.stacks_file import Override


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    given: dict[str, Any] = {}

    def add(release: str, **options: Any) -> AddedStack:
        given.update(options, release=release)
        return AddedStack(release, "added", "2026-01-01T00:00:00Z", Path("l"), {}, ("torch: CPU",))

    monkeypatch.setattr(resolve, "add", add)
    return given


def test_add_hands_overrides_on_and_names_departures(asked: dict[str, Any]) -> None:
    words = ["stack", "add", "2026.1.4", "--override", "trl==1.0", "--because", "why", "--refresh"]
    done = CliRunner().invoke(app, words)
    assert asked["overrides"] == [Override(requirement="trl==1.0", reason="why")]
    assert asked["refresh"] is True
    assert "departs from its day: torch: CPU" in done.output
    assert "harness run unsloth-2026.1.4/a100-emulated/auto/mild" in done.output


def test_an_override_needs_its_reason(asked: dict[str, Any]) -> None:
    done = CliRunner().invoke(app, ["stack", "add", "2026.1.4", "--override", "trl==1.0"])
    assert done.exit_code == 2
    assert "--because" in done.output


def test_list_names_each_release_with_its_day() -> None:
    lines = CliRunner().invoke(app, ["stack", "list"]).output.splitlines()
    assert "unsloth-2025.3.14  as of 2025-03-15T00:00:00Z" in lines
