"""`harness window`: what a GPU that is lent for minutes is to measure, in one command."""

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.terminal import console, say
from harness.errors import IncompleteError
from harness.locations import reports_dir
from harness.profiles import profile
from harness.reports import window as table
from harness.runners import split_patterns
from harness.window import kept
from harness.window.budget import Budget
from harness.window.parts import DEFAULT_PARTS, read_parts
from harness.window.run import measure, state


def window(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[PART...]", help="In this order; else all.")
    ] = None,
    minutes: Annotated[
        float, typer.Option(min=0.5, help="Of the window; it ends in time, as Ctrl-C does.")
    ] = 9.0,
    keep: Annotated[
        Path | None,
        typer.Option(
            "--kept", help="What comes back, and goes on next time.  [default: REPORTS/window.tgz]"
        ),
    ] = None,
    parts: Annotated[Path, typer.Option(help="What to measure.")] = DEFAULT_PARTS,
    gpu: Annotated[
        str | None, typer.Option(help="With --list: cards of a machine elsewhere, as A,B.")
    ] = None,
    *,
    listed: Annotated[
        bool, typer.Option("--list", help="Show the order, and what is measured.")
    ] = False,
) -> None:
    """Measure on a GPU what is not measured yet, the most wanted first, until the window is over."""
    if gpu and not listed:
        raise typer.BadParameter("another machine's cards are only listed", param_hint="--gpu")
    budget = Budget(60 * minutes)
    file = keep or reports_dir() / "window.tgz"
    chosen = read_parts(parts, names or ())
    if file.exists():
        say(f"{file}: {kept.unpack(file)} files of earlier windows")
    if listed:
        cards = [profile(slug).slug for slug in split_patterns(gpu)]
        for line in table.listed([state(part, parts, cards) for part in chosen]):
            say(line)
        return
    found = measure(chosen, parts, budget, console, file)
    console.print(table.render(found))
    say(
        f"bring back {file} ({file.stat().st_size / 1024:.0f} kB); docs/gpu-window.md says what then"
    )
    raise typer.Exit(IncompleteError.exit_code if any(one.left for one in found) else 0)
