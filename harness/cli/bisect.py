"""`harness bisect`: which release did it, and which of its packages."""

import re
from pathlib import Path
from typing import Annotated

import typer

from harness.bisect.bisection import Question
from harness.bisect.criterion import CELL
from harness.bisect.run import bisect as find
from harness.cli.options import Data, Fresh, Jobs, MatrixFile, Model, Scale, Timeout
from harness.cli.terminal import console, interruptible, say
from harness.errors import SelectionError
from harness.matrix import DEFAULT_MATRIX, Overrides
from harness.plan import Options, Plan
from harness.reports import bisect as report

_FAMILY = re.compile(r"(?P<family>unsloth|reference)(-[^/]*)?/(?P<rest>[^/]+/[^/]+/.+)")


def bisect(
    cell: Annotated[str, typer.Argument(metavar="CELL", help="unsloth/t4-emulated/auto/hot")],
    good: Annotated[str, typer.Option(help="A release that is as it should be.")],
    bad: Annotated[str, typer.Option(help="One that is not, older or newer.")],
    check: Annotated[
        list[str] | None,
        typer.Option(
            help="Checks by name; `eval_loss`: is it the good end's? Without: all that the bad end fails."
        ),
    ] = None,
    matrix: MatrixFile = DEFAULT_MATRIX,
    model: Model = None,
    data: Data = None,
    scale: Scale = None,
    jobs: Jobs = None,
    timeout: Timeout = None,
    attempts: Annotated[
        int, typer.Option(min=1, help="Runs of a release whose answer is ambiguous.")
    ] = 3,
    fault: Annotated[Path | None, typer.Option(help="A fault plugin in every run.")] = None,
    *,
    packages: Annotated[bool, typer.Option(help="Separate the packages in the end.")] = True,
    fresh: Fresh = False,
) -> None:
    """Find the release between a good and a bad one that did it, and which of its packages."""
    family, rest = split_cell(cell)
    plan = Plan(Options(matrix, Overrides(model, data, scale), jobs, fresh, timeout, fault))
    name = fault.stem if fault else None
    question = Question(
        good=good, bad=bad, family=family, cell=rest, checks=check or [CELL], fault=name
    )
    with interruptible():
        found = find(plan, question, console, say, attempts=attempts, packages=packages)
    console.print(report.render(found))
    for path in report.write(found):
        say(str(path))
    raise typer.Exit(found.exit_code)


def split_cell(cell: str) -> tuple[str, str]:
    """Split a cell without a release, `unsloth/t4-emulated/auto/hot`; a release in it is left out.

    Raises:
        SelectionError: It is none.
    """
    match = _FAMILY.fullmatch(cell)
    if match is None:
        raise SelectionError(
            f"{cell!r} is not a cell without a release: expected FAMILY/HARDWARE/DTYPE/RECIPE, for example "
            "unsloth/t4-emulated/auto/hot."
        )
    return match["family"], match["rest"]
