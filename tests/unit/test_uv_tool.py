import sys
from pathlib import Path

import pytest

from harness.errors import StackBuildError
from harness.stacks.uv_tool import run_uv


@pytest.mark.parametrize(
    ("name", "text"),
    [("uv.toml", "this is = not toml"), ("pyproject.toml", "[tool.uv]\nindex-url = 5\n")],
)
def test_no_configuration_above_the_temporary_folder_takes_part(
    name: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    assert "pytest" in run_uv("pip", "list", "--python", sys.executable, purpose="list")


def test_what_uv_says_is_passed_on() -> None:
    with pytest.raises(StackBuildError, match="cannot do that: `uv no-such` exited 2"):
        run_uv("no-such", purpose="do that")
