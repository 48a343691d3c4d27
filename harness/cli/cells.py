"""`harness cells`: what there is to run, for a reader or for a CI."""

import json
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.options import MatrixFile
from harness.dependency_update import update as updates
from harness.matrix import DEFAULT_MATRIX, Overrides, load_matrix, split_releases
from harness.plan import Options, Plan
from harness.profiles import profile
from harness.runners import DEFAULT_RUNNERS, jobs, read_runners, select, split_patterns


def cells(
    matrix: MatrixFile = DEFAULT_MATRIX,
    releases: Annotated[str | None, typer.Option(help="Unsloth releases, as A,B,C.")] = None,
    update: Annotated[
        Path | None, typer.Option(help="Of `harness upgrade --save`: its two stacks.")
    ] = None,
    chosen: Annotated[
        str | None, typer.Option("--cells", help="HARDWARE/DTYPE/RECIPE patterns, as A,B.")
    ] = None,
    gpu: Annotated[
        str | None,
        typer.Option(help="Cards of a machine elsewhere in place of this one's, as A,B."),
    ] = None,
    runners: Annotated[
        Path, typer.Option(help="Runners of your CI, for --json.")
    ] = DEFAULT_RUNNERS,
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="As `strategy.matrix` of GitHub Actions.")
    ] = False,
) -> None:
    """List the ids of the default cells on this machine, or with --json the jobs of a CI's runners."""
    given = split_releases(releases)
    if update:
        moved = updates.load(update)
        if as_json and not moved.moved:
            typer.echo(json.dumps({"include": []}))
            return
        given = moved.releases
    overrides = Overrides(releases=given)
    if as_json:
        work = jobs(read_runners(runners), matrix, overrides, split_patterns(chosen))
        typer.echo(json.dumps({"include": [job.entry() for job in work]}))
        return
    patterns = split_patterns(chosen)
    if gpu:
        cards = [profile(slug).slug for slug in split_patterns(gpu)]
        there = load_matrix(matrix, cards, overrides)
        found = select(there, there.cells, patterns)
    else:
        found = Plan(Options(matrix, overrides)).select(patterns)
    for cell in found:
        typer.echo(cell.id)
