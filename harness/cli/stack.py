"""`harness stack`: environments as of a release's day."""

from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import MatrixFile
from harness.cli.terminal import say
from harness.hardware import detect
from harness.matrix import DEFAULT_MATRIX, load_matrix
from harness.stacks import beside as beside_of
from harness.stacks import resolve, wheelhouse_export
from harness.stacks import stack as stacks
from harness.stacks.stacks_file import Override, read_config
from harness.stacks.stacks_file import Where as StackWhere

app = typer.Typer(help="Environments as of a release's day.", no_args_is_help=True)


@app.command("list")
def list_stacks() -> None:
    """List the releases that have a lock, and when each was resolved as of."""
    config = read_config()
    for release in stacks.releases():
        typer.echo(f"unsloth-{release}  as of {config.releases[release].cutoff}")


@app.command("add")
def add_stack(
    release: Annotated[str, typer.Argument(help="A version of Unsloth, or `latest`.")],
    override: Annotated[
        list[str] | None, typer.Option(help="PACKAGE==VERSION in place of the day's.")
    ] = None,
    because: Annotated[str | None, typer.Option(help="Why, for the record.")] = None,
    *,
    refresh: Annotated[bool, typer.Option(help="Lock a release again that has a lock.")] = False,
) -> None:
    """Resolve a release as of its upload day, build it, see that it imports, and lock it."""
    if override and not because:
        raise typer.BadParameter("an override needs its reason", param_hint="--because")
    overrides = [Override(requirement=text, reason=because or "") for text in override or ()]
    where: StackWhere = "gpu" if detect().gpus else "cpu"
    added = resolve.add(release, say=say, refresh=refresh, where=where, overrides=overrides)
    for departure in added.overrides:
        say(f"departs from its day: {departure}")
    if added.status != "present":
        say(f"train it: harness run unsloth-{added.release}/a100-emulated/auto/mild")


@app.command("export")
def export_stacks(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[STACK...]", help="The matrix's without a name.")
    ] = None,
    wheelhouse: Annotated[Path, typer.Option(help="Folder for the wheels.")] = Path("wheelhouse"),
    beside: Annotated[
        Path | None, typer.Option(help="What the machine has: its `pip freeze`.")
    ] = None,
    python: Annotated[str, typer.Option(help="The machine's Python.")] = "3.11",
    override: Annotated[
        list[str] | None, typer.Option(help="PACKAGE==VERSION in place of every lock's.")
    ] = None,
    because: Annotated[str | None, typer.Option(help="Why, for the record.")] = None,
    matrix: MatrixFile = DEFAULT_MATRIX,
) -> None:
    """Make a folder of wheels for a GPU machine without a registry, and the command to run there."""
    if override and not because:
        raise typer.BadParameter("an override needs its reason", param_hint="--because")
    overrides = [Override(requirement=text, reason=because or "") for text in override or ()]
    chosen = names or wheelhouse_export.stacks_of(load_matrix(matrix).releases)
    locked = [stacks.load_stack(name, "gpu") for name in chosen]
    there = beside_of.read(beside)
    made = wheelhouse_export.export(locked, wheelhouse, python, there, say, overrides)
    size = sum(path.stat().st_size for path in wheelhouse.glob("*.whl"))
    say(f"{wheelhouse}: {size / 2**20:.0f} MiB for Python {made.python}")
    if not made.commit:
        say("built from a work tree with changes: what it measures cannot become a baseline")
    say(f"there: bash {wheelhouse / wheelhouse_export.SCRIPT} harness window --minutes 9")
