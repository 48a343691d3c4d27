"""What the documentation shows can be run: its commands exist, its example of a check works."""

import re
import shlex
import sys
import types
from pathlib import Path

import pytest
from typer.testing import CliRunner

from harness.cli import reference
from harness.cli.main import app
from harness.locations import PACKAGE

ROOT = PACKAGE.parent
GENERATED = ROOT / "docs" / "command-line.md"
WRITTEN = [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "reports").glob("*/*.md")]
PAGES = sorted({*WRITTEN} - {GENERATED})
_BLOCK = re.compile(r"```(?:console|sh|bash|yaml|toml)\n(.*?)```", re.DOTALL)
_SESSION = re.compile(r"\bnox -s (\w+)")
_HARNESS = re.compile(r"(?:^|\s)harness (?=[a-z])([^\n|#&;]*)")


def commands(page: Path) -> list[str]:
    """Return what follows `harness` on each command line of a page's blocks."""
    text = page.read_text(encoding="utf-8")
    lines = "\n".join(_BLOCK.findall(text)).replace("\\\n", " ").splitlines()
    shown = [line for line in lines if re.match(r"\s*(\w*\$|- (script|run):|-|run:)", line)]
    return [found.strip() for line in shown for found in _HARNESS.findall(line)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_exists(page: Path) -> None:
    for shown in commands(page):
        words = [word for word in shlex.split(shown.replace("…", "X")) if word not in ("\\", "...")]
        # Arguments are parsed before --help is acted upon, and nothing is run.
        parsed = CliRunner().invoke(app, [*words, "--help"])
        assert parsed.exit_code == 0, f"harness {shown}: {parsed.output}"


@pytest.mark.parametrize("words", [["no-such-command"], ["run", "CELL", "--no-such-option"]])
def test_a_command_that_does_not_exist_would_be_seen(words: list[str]) -> None:
    assert CliRunner().invoke(app, [*words, "--help"]).exit_code == 2


def test_commands_are_found_at_all() -> None:
    assert sum(len(commands(page)) for page in PAGES) > 30


def test_every_session_exists() -> None:
    sessions = re.findall(
        r"@nox\.session.*?\ndef (\w+)", (ROOT / "noxfile.py").read_text(encoding="utf-8")
    )
    for page in PAGES:
        assert set(_SESSION.findall(page.read_text(encoding="utf-8"))) <= set(sessions), page


def test_the_page_of_the_command_line_is_that_of_the_program() -> None:
    """After a change: `python -m harness.cli.reference`."""
    assert GENERATED.read_text(encoding="utf-8") == reference.render()


def test_every_variable_is_explained() -> None:
    sources = (path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py"))
    assert {name for text in sources for name in re.findall(r"HARNESS_[A-Z_]+", text)} == set(
        reference.VARIABLES
    )


def test_the_example_of_a_check_works(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "docs" / "write-a-check.md").read_text(encoding="utf-8")
    check, tests = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    module = types.ModuleType("harness.checks.generates")
    exec(compile(check, "generates.py", "exec"), module.__dict__)
    monkeypatch.setitem(sys.modules, module.__name__, module)
    shown: dict[str, object] = {}
    exec(compile(tests, "test_check_generates.py", "exec"), shown)

    for name in [name for name in shown if name.startswith("test_")]:
        test = shown[name]
        assert callable(test)
        test()
