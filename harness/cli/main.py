"""The command line: each command is a module beside this one. `harness --help` lists them."""

import sys

import typer
from rich.console import Console

from harness.cli import baseline as cli_baseline
from harness.cli import export as cli_export
from harness.cli import stack as cli_stack
from harness.cli.bisect import bisect
from harness.cli.cells import cells
from harness.cli.compare import compare
from harness.cli.doctor import doctor
from harness.cli.explain import explain
from harness.cli.faults import faults
from harness.cli.fidelity import fidelity
from harness.cli.figures import figures
from harness.cli.history import history
from harness.cli.relations import relations
from harness.cli.report import report
from harness.cli.run import run
from harness.cli.schema import schema
from harness.cli.sensitivity import sensitivity
from harness.cli.upgrade import upgrade
from harness.cli.window import window
from harness.errors import HarnessError

app = typer.Typer(
    help="Is this upgrade of the Gemma-3 LoRA stack safe on this hardware, and if not, why?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for _command in (
    cells,
    run,
    upgrade,
    explain,
    bisect,
    compare,
    report,
    relations,
    faults,
    sensitivity,
    doctor,
    history,
    window,
    figures,
    fidelity,
    schema,
):
    app.command()(_command)
app.add_typer(cli_stack.app, name="stack")
app.add_typer(cli_baseline.app, name="baseline")
app.add_typer(cli_export.app, name="export")


def main() -> None:
    """Run the command; an expected failure prints one message and exits with its own code."""
    try:
        app()
    except HarnessError as error:
        Console(stderr=True).print(f"error: {error}", style="red", markup=False, soft_wrap=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
