"""The command line as a page: every command with its options, and the exit codes.

`python -m harness.cli.reference` writes `docs/command-line.md`; `nox -s docs` does so first.
"""

import re
from typing import Any

from typer import Context
from typer.cli import get_docs_for_click
from typer.main import get_command

from harness.cli.main import app
from harness.errors import EXIT_CODES
from harness.locations import FIXTURES, PACKAGE

PAGE = PACKAGE.parent / "docs" / "command-line.md"

_INTRODUCTION = """\
# Command line

`harness` is installed with the project: `uv run harness …` in a checkout. The gate itself is pytest, run by
`nox -s gpu_matrix`; `nox -l` lists every session. This page is generated from the program (`nox -s docs`).
"""


def render() -> str:
    """Return the page as Markdown: introduction, exit codes, then each command as Typer documents it."""
    codes = "\n".join(f"| {code} | {meaning} |" for code, meaning in sorted(EXIT_CODES.items()))
    command = get_command(app)
    _name_in_full(command)
    commands = get_docs_for_click(obj=command, ctx=Context(command), name="harness")
    # One title a page, and the commands below it.
    commands = re.sub(r"^#", "##", commands.split("**Usage**", 1)[1], flags=re.MULTILINE)
    commands = re.sub(r"[ \t]+$", "", commands, flags=re.MULTILINE)
    # A default below the fixtures is shown as a path of the checkout, not of this machine.
    commands = commands.replace(f"{FIXTURES}/", "fixtures/")
    return (
        f"{_INTRODUCTION}\n## Exit codes\n\n| code | meaning |\n|---|---|\n{codes}\n\n"
        f"## Commands\n\n**Usage**{commands.rstrip()}\n"
    )


def _name_in_full(command: Any) -> None:
    """Give each command its first sentence where a list names it; Typer cuts it after 45 characters."""
    for below in getattr(command, "commands", {}).values():
        below.short_help = (below.help or "").split("\n", 1)[0]
        _name_in_full(below)


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
