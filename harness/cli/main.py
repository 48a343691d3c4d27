"""The command line: parses, calls, prints. `harness --help` lists the commands."""

import json
import sys
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from harness import reports
from harness.cli import baseline as cli_baseline
from harness.cli import export as cli_export
from harness.cli.bisect import bisect
from harness.cli.cells import cells
from harness.cli.compare import compare
from harness.cli.fidelity import fidelity
from harness.cli.history import history
from harness.cli.options import Data, Fresh, Jobs, MatrixFile, Model, Scale, Timeout
from harness.cli.schema import schema
from harness.cli.sensitivity import sensitivity
from harness.cli.terminal import console, interruptible, say
from harness.cli.upgrade import upgrade
from harness.doctor.diagnosis import as_dict, diagnose, render
from harness.errors import HarnessError
from harness.explain import table as explain_table
from harness.explain.run import explain_cells
from harness.faults.catalogue import read_catalogue
from harness.faults.trials import run_trials
from harness.gate import judge_again
from harness.hardware import detect
from harness.kept_records import judge_kept
from harness.locations import new_run_dir
from harness.matrix import DEFAULT_MATRIX, Overrides, load_matrix
from harness.plan import Options, Plan, Where, command_line, run_gate
from harness.relation_sheet import run_sheet
from harness.reports import faults as table_of_faults
from harness.reports import relations as table_of_relations
from harness.reports import terminal
from harness.reports.table_file import write_table
from harness.stacks import resolve, wheelhouse_export
from harness.stacks import stack as stacks
from harness.stacks.stacks_file import Override, read_config
from harness.stacks.stacks_file import Where as StackWhere
from harness.throughput import gate as upgrade_throughput

app = typer.Typer(
    help="Is this upgrade of the Gemma-3 LoRA stack safe on this hardware, and if not, why?",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
stack_app = typer.Typer(help="Environments as of a release's day.", no_args_is_help=True)
app.add_typer(stack_app, name="stack")
app.command()(cells)
app.command()(upgrade)
app.command()(fidelity)
app.command()(compare)
app.command()(bisect)
app.command()(sensitivity)
app.command()(history)
app.command()(schema)
app.add_typer(cli_baseline.app, name="baseline")
app.add_typer(cli_export.app, name="export")


@app.command()
def run(
    cell_ids: Annotated[list[str], typer.Argument(metavar="CELL...", help="Ids of cells.")],
    matrix: MatrixFile = DEFAULT_MATRIX,
    model: Model = None,
    data: Data = None,
    scale: Scale = None,
    jobs: Jobs = None,
    timeout: Timeout = None,
    fault: Annotated[Path | None, typer.Option(help="A fault plugin to inject.")] = None,
    dispatch: Annotated[Where, typer.Option(help="Where cells run.")] = Where.LOCAL,
    ray_address: Annotated[
        str | None, typer.Option(help="Of a Ray cluster; else RAY_ADDRESS, else this machine's.")
    ] = None,
    *,
    fresh: Fresh = False,
) -> None:
    """Run cells, in the default matrix or not, judge them and write a report."""
    options = Options(
        matrix,
        Overrides(model, data, scale),
        jobs,
        fresh,
        timeout,
        fault,
        where=dispatch,
        ray_address=ray_address,
    )
    plan = Plan(options)
    with interruptible(), closing(plan):
        result, folder = run_gate(plan, [plan.matrix.cell(c) for c in cell_ids], console)
    terminal.show(result, folder / reports.PAGE_NAME, console)
    raise typer.Exit(result.exit_code)


@app.command()
def explain(
    a: Annotated[str, typer.Argument(metavar="A", help="Id of a cell.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Id of another.")],
    matrix: MatrixFile = DEFAULT_MATRIX,
    model: Model = None,
    data: Data = None,
    scale: Scale = None,
    jobs: Jobs = None,
    *,
    fresh: Fresh = False,
    every: Annotated[bool, typer.Option("--all", help="Fold no layer.")] = False,
) -> None:
    """Take the first step of two cells apart and name the first thing that differs."""
    plan = Plan(Options(matrix, Overrides(model, data, scale), jobs, fresh))
    with interruptible():
        explanation = explain_cells(plan, a, b, console)
    console.print(explain_table.render(explanation, a, b, every=every))
    raise typer.Exit(1 if explanation.first else 0)


@app.command()
def report(
    folder: Annotated[
        Path, typer.Argument(help="A folder below reports/runs, or any with records.")
    ],
    out: Annotated[Path | None, typer.Option(help="Folder for the report.")] = None,
    *,
    judge: Annotated[bool, typer.Option(help="Judge the records again, too.")] = False,
) -> None:
    """Render a report without training: of a run, or of the records in a folder."""
    if reports.is_run(folder):
        result, target = reports.load(folder), out or folder
    else:
        result, target = judge_kept(folder, command_line()), out or new_run_dir("report-")
    if judge:
        paired = upgrade_throughput.kept(result.cells)
        cells = upgrade_throughput.keep(paired, judge_again(result.cells))
        result = result.model_copy(update={"cells": cells})
    for path in reports.write(result, target):
        console.print(str(path), soft_wrap=True)
    raise typer.Exit(result.exit_code)


@app.command()
def faults(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME...]", help="All without a name.")
    ] = None,
    clean: Annotated[int, typer.Option(min=0, help="Clean runs that must raise no alarm.")] = 0,
    *,
    fresh: Fresh = False,
) -> None:
    """Inject each fault of the catalogue and show which check sees it: the gate proves itself."""
    catalogue = read_catalogue()
    chosen, unharmed = catalogue.select(names or []), catalogue.clean_runs(clean)
    with interruptible():
        trials = run_trials(chosen, unharmed, console, fresh=fresh)
    console.print(table_of_faults.render(trials))
    say(f"table: {write_table('faults', table_of_faults.markdown(trials, command_line()))}")
    raise typer.Exit(trials.exit_code)


@app.command()
def relations(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME...]", help="All without a name.")
    ] = None,
    cell: Annotated[
        list[str] | None, typer.Option(help="Id of a cell; else those of fixtures/relations.toml.")
    ] = None,
    search: Annotated[int, typer.Option(min=0, help="Recipes to generate for each relation.")] = 0,
    seed: Annotated[int, typer.Option(help="Of the generator.")] = 0,
    fault: Annotated[Path | None, typer.Option(help="A fault plugin in every run.")] = None,
    *,
    fresh: Fresh = False,
    calibrate: Annotated[
        bool, typer.Option(help="Print the tolerances that these runs give.")
    ] = False,
) -> None:
    """See whether runs that must agree do: n x 1 = 1 x n, on = off, Unsloth = plain ..."""
    plan = Plan(Options(fault=fault, fresh=fresh, preloaded=True))
    with interruptible(), closing(plan):
        outcome = run_sheet(plan, names or [], cell or [], search, seed, console)
    console.print(table_of_relations.render(outcome.trials))
    for line in outcome.searched:
        say(line)
    if calibrate:
        typer.echo(table_of_relations.tolerances(outcome.all_trials, command_line()))
    text = table_of_relations.markdown(outcome.trials, outcome.searched, command_line())
    say(f"table: {write_table('relations', text)}")
    raise typer.Exit(outcome.exit_code)


@app.command()
def doctor(
    hardware: Annotated[
        str | None, typer.Option(help="A card you may not have: t4, l4 ...")
    ] = None,
    model: Annotated[str, typer.Option(help="270m, 1b, 4b, 12b, 27b, or a folder.")] = "4b",
    batch_size: Annotated[int, typer.Option(min=1)] = 2,
    seq_len: Annotated[int, typer.Option(min=1)] = 2048,
    lora_r: Annotated[int, typer.Option(min=1)] = 8,
    *,
    load_in_4bit: Annotated[bool, typer.Option()] = False,
    gradient_checkpointing: Annotated[bool, typer.Option()] = True,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Say before any training which precision fits this hardware, and whether the model does."""
    diagnosis = diagnose(
        detect(),
        hardware=hardware,
        model=model,
        batch_size=batch_size,
        seq_len=seq_len,
        load_in_4bit=load_in_4bit,
        gradient_checkpointing=gradient_checkpointing,
        lora_r=lora_r,
    )
    if as_json:
        typer.echo(json.dumps(as_dict(diagnosis), indent=1))
    else:
        console.print(render(diagnosis))
    raise typer.Exit(0 if diagnosis.fits else 1)


@stack_app.command("list")
def list_stacks() -> None:
    """List the releases that have a lock, and when each was resolved as of."""
    config = read_config()
    for release in stacks.releases():
        typer.echo(f"unsloth-{release}  as of {config.releases[release].cutoff}")


@stack_app.command("add")
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


@stack_app.command("export")
def export_stacks(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[STACK...]", help="The matrix's without a name.")
    ] = None,
    wheelhouse: Annotated[Path, typer.Option(help="Folder for the wheels.")] = Path("wheelhouse"),
    beside: Annotated[
        Path | None, typer.Option(help="What the machine has: its `pip freeze`.")
    ] = None,
    python: Annotated[str, typer.Option(help="The machine's Python.")] = "3.11",
    matrix: MatrixFile = DEFAULT_MATRIX,
) -> None:
    """Make a folder of wheels for a GPU machine without a registry, and the command to run there."""
    chosen = names or wheelhouse_export.stacks_of(load_matrix(matrix).releases)
    locked = [stacks.load_stack(name, "gpu") for name in chosen]
    made = wheelhouse_export.export(locked, wheelhouse, python, beside, say)
    size = sum(path.stat().st_size for path in wheelhouse.glob("*.whl"))
    say(f"{wheelhouse}: {size / 2**20:.0f} MiB for Python {made.python}")
    say(f"there: GATE_SECONDS=540 bash {wheelhouse / wheelhouse_export.SCRIPT} harness run CELL...")


def main() -> None:
    """Run the command; an expected failure prints one message and exits with its own code."""
    try:
        app()
    except HarnessError as error:
        Console(stderr=True).print(f"error: {error}", style="red", markup=False, soft_wrap=True)
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
