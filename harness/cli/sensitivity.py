"""`harness sensitivity`: what the throughput rule finds and what it misses, beside the rules of others."""

from typing import Annotated

import typer

from harness.cli.terminal import console, interruptible, say
from harness.plan import Options, Plan, command_line
from harness.reports.table_file import write_table

DEFAULT_CELL = "reference-2026.10.9/cpu/float32/mild"


def sensitivity(
    pairs: Annotated[int, typer.Option(min=1, help="Process pairs in the pool.")] = 24,
    minutes: Annotated[float | None, typer.Option(min=0, help="Measure no longer.")] = None,
    cell: Annotated[str, typer.Option(help="Id of the cell whose steps are timed.")] = DEFAULT_CELL,
    leaks: Annotated[
        int, typer.Option(min=0, help="Runs with a memory leak, and as many without.")
    ] = 10,
    sequences: Annotated[int, typer.Option(min=1, help="Drawn for each rate.")] = 1000,
    *,
    fresh: Annotated[bool, typer.Option(help="Measure kept pairs again.")] = False,
) -> None:
    """Inject slowdowns of known size and compare this gate's rule with those of other tools."""
    # They come with a dependency group of their own.
    try:
        from harness.sensitivity.comparators import RULES
        from harness.sensitivity.rates import rates, spreads
    except ModuleNotFoundError as missing:
        raise typer.BadParameter(
            f"{missing.name} is not installed; `nox -s sensitivity` installs the tools to compare with"
        ) from None
    from harness.reports import sensitivity as table
    from harness.sensitivity.leaks import leak_fault, measure_leaks
    from harness.sensitivity.runs import Source, measure_pairs

    plan = Plan(Options())
    fault = leak_fault() if leaks else None
    source = Source.of(plan, plan.matrix.cell(cell))
    with interruptible("finished pairs are kept, run the same command to go on"):
        pool = measure_pairs(source, pairs, console, minutes=minutes, fresh=fresh)
        leaked = measure_leaks(fault, leaks, console, fresh=fresh) if fault else []
        console.print(f"  {len(RULES)} rules on sequences drawn from the pairs: two minutes")
        with console.status("") as status:
            found = list(rates(pool, RULES, sequences=sequences, say=status.update))
    study = table.Study(
        cell=cell,
        device=next(iter(source.experiments.values())).target.device,
        pairs=len({block.pair for block in pool}),
        own=RULES[0].name,
        rates=found,
        spreads=list(spreads(pool)),
        leaks=leaked,
    )
    console.print(table.render(study))
    path = write_table("sensitivity", table.markdown(study, command_line()))
    say(f"table: {path}")
    raise typer.Exit(study.exit_code)
