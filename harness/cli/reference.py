"""The command line as a page: every command with its options, the exit codes and the variables.

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

VARIABLES = {
    "HARNESS_CACHE": "folder of built stacks, fixtures and downloads; else the user's cache",
    "HARNESS_REPORTS": "folder of records and reports; else `./reports`",
    "HARNESS_BASELINES": "folder of approved baselines; else `fixtures/baselines` of the checkout",
    "HARNESS_CONTAINMENT": "what keeps cells in: `auto`, `bubblewrap`, `unshare` or `limits` ([containment](containment.md))",
    "HARNESS_READABLE": "more folders that contained cells may read, with `:` between them",
    "HARNESS_WHEELHOUSE": "folder that stacks are made from where there is no registry ([on a GPU](gpu.md))",
    "HARNESS_UV_TIMEOUT": "seconds for one call of uv; else 3600",
    "HARNESS_COMMAND": "the command that a report names; nox sets it",
}
"""What the environment decides; everything else is an option."""


def render() -> str:
    """Return the page as Markdown: introduction, exit codes, variables, then each command as Typer documents it."""
    codes = "\n".join(f"| {code} | {meaning} |" for code, meaning in sorted(EXIT_CODES.items()))
    command = get_command(app)
    _name_in_full(command)
    commands = get_docs_for_click(obj=command, ctx=Context(command), name="harness")
    # One title a page, and the commands below it.
    commands = re.sub(r"^#", "##", commands.split("**Usage**", 1)[1], flags=re.MULTILINE)
    commands = re.sub(r"[ \t]+$", "", commands, flags=re.MULTILINE)
    # A default below the fixtures is shown as a path of the checkout, not of this machine.
    commands = commands.replace(f"{FIXTURES}/", "fixtures/")
    variables = "\n".join(f"| `{name}` | {meaning} |" for name, meaning in VARIABLES.items())
    return (
        f"{_INTRODUCTION}\n## Exit codes\n\n| code | meaning |\n|---|---|\n{codes}\n\n"
        f"## Environment variables\n\n| variable | meaning |\n|---|---|\n{variables}\n\n"
        f"## Commands\n\n**Usage**{commands.rstrip()}\n"
    )


def _name_in_full(command: Any) -> None:
    """Give each command its first sentence where a list names it; Typer cuts it after 45 characters."""
    for below in getattr(command, "commands", {}).values():
        below.short_help = (below.help or "").split("\n", 1)[0]
        _name_in_full(below)


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")
