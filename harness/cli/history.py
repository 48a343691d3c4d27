"""`harness history`: trends over the records of many runs."""

import json
from datetime import UTC, datetime
from typing import Annotated

import typer

from harness.cli.terminal import console, say
from harness.errors import InputError
from harness.history.record_query import find_runs
from harness.history.series import Order, trace
from harness.locations import reports_dir
from harness.reports import history as table
from harness.reports.history_page import write_page


def history(
    cells: Annotated[
        list[str] | None,
        typer.Argument(metavar="[CELL...]", help="Ids or patterns; `cpu/*` is of any stack."),
    ] = None,
    figure: Annotated[list[str] | None, typer.Option(help="Names or patterns: 'peak_*'.")] = None,
    since: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="Earlier runs are passed over.")
    ] = None,
    by: Annotated[Order, typer.Option(help="Order of the runs.")] = Order.RELEASE,
    *,
    every: Annotated[bool, typer.Option("--all", help="Show each figure.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Show how the figures of comparable runs move over releases and dates, and where they change."""
    reports = reports_dir()
    found = find_runs(reports)
    if not found.runs and not found.unreadable:
        raise InputError(
            f"{reports} holds no record. Run cells first, or set HARNESS_REPORTS to where they are."
        )
    day = since.replace(tzinfo=UTC) if since else None
    trends = trace(found, cells=cells or (), figures=figure or (), since=day, order=by)
    page = write_page(trends, reports)
    if as_json:
        typer.echo(json.dumps(table.as_data(trends, page), indent=1, allow_nan=False))
        return
    console.print(table.render(trends, every=every or bool(figure)))
    say(f"plots: {page}")
