"""Runs whose timing counts: what disturbed is run again, a few times, before anybody judges it."""

from collections.abc import Sequence

from rich.console import Console

from harness.conditions import disturbances
from harness.dispatch.dispatcher import Result, Run
from harness.plan import Plan

ROUNDS = 3
"""How often a run is tried: a policy. A machine that is never quiet has no answer."""


def execute(plan: Plan, runs: Sequence[Run], console: Console, folder: str) -> list[Result]:
    """Run all, then again those that something disturbed; return the last result of each, in order.

    Runs are chosen by what the harness saw of the machine, never by how fast they were.

    Args:
        plan: Runs one cell at once, whatever is finished.
        runs: What is wanted.
        console: Shows progress.
        folder: Where records are kept, below the reports folder.
    """
    results = dict(zip(runs, plan.execute(runs, console, folder), strict=True))
    for _ in range(ROUNDS - 1):
        again = [run for run, result in results.items() if disturbances(result.record)]
        if not again:
            break
        first = disturbances(results[again[0]].record)[0]
        console.print(
            f"{len(again)} of {len(runs)} runs were disturbed ({first}) and are run again",
            soft_wrap=True,
            markup=False,
        )
        results |= zip(again, plan.execute(again, console, folder), strict=True)
    return list(results.values())
