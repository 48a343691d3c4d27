"""The table relation x cell, what a search found, and the tolerances that clean runs give."""

import json
import shlex
from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from harness.relation_trials import Trial
from harness.relations import Relation
from harness.reports.markdown_text import code, escape
from harness.reports.wording import SYMBOLS, clean
from harness.tolerances import derived

if TYPE_CHECKING:
    from harness.relation_search import Search

_LONGEST = 400


def render(trials: Sequence[Trial]) -> RenderableType:
    """Return the table for a terminal, one line a relation and cell."""
    view = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 1, 0, 0))
    for title in ("relation", "cell", "", "what was measured"):
        view.add_column(title, overflow="fold")
    for trial in trials:
        verdict = trial.verdict
        said = f"{SYMBOLS[verdict.outcome]} {verdict.outcome}"
        row = (trial.relation.name, trial.cell.id, said, clean(verdict.message))
        view.add_row(*map(Text, row))
    return Group(view, Text(), Text(summary(trials), style="bold"))


def summary(trials: Sequence[Trial]) -> str:
    """Count the answers in a sentence."""
    counts: dict[str, int] = defaultdict(int)
    for trial in trials:
        counts[str(trial.verdict.outcome)] += 1
    return f"{len(trials)} relations on cells: {', '.join(f'{n} {o}' for o, n in counts.items())}"


def found(relation: Relation, search: "Search", fault: Path | None = None) -> Iterator[str]:
    """Yield what a search came to, with the command that reproduces it; `fault` was in every run."""
    tried = f"{relation.name}: {len(search.trials)} recipes tried"
    if search.unfinished:
        tried += f", {len(search.unfinished)} of them without an answer"
        first = search.unfinished[0]
        tried += f" (first: {first.cell.id}: {first.verdict.message})"
    if search.smallest is None:
        yield f"{tried}; it held in all others" if search.unfinished else f"{tried}; it held"
        return
    yield f"{tried}; violated. The smallest recipe that does it:"
    yield f"  {search.smallest.verdict.message}"
    again = ["harness", "relations", relation.name, "--cell", search.smallest.cell.id]
    again += ["--fault", str(fault)] if fault else []
    yield f"  again: {shlex.join(again)}"


def tolerances(trials: Sequence[Trial], command: str) -> str:
    """Return the entries of fixtures/tolerances.toml that these trials give.

    A trial counts when all its deviations are finite: one that is violated is not clean.
    """
    once = {(t.relation.name, t.cell.id): t for t in trials}
    clean_ones = [t for t in once.values() if t.deviations and _is_finite(t)]
    largest: dict[tuple[str, str, str], list[float]] = defaultdict(list)
    for trial in clean_ones:
        for one in trial.deviations:
            if not one.is_exact:
                key = trial.relation.name, one.quantity, one.dtype or trial.dtype
                largest[key].append(one.value)
    cells = sorted({"/".join(t.cell.id.split("/")[:3]) for t in clean_ones})
    measured = f"{datetime.now(UTC):%Y-%m-%d}, {', '.join(cells)}: {command}"
    entries = [
        f'[[tolerance]]\nof = "{of}"\nquantity = "{quantity}"\ndtype = "{dtype}"\n'
        f"relative = {derived(max(values), len(values)):g}\nlargest = {max(values):.3g}\nruns = {len(values)}\n"
        f"measured = {json.dumps(measured)}\n"
        for (of, quantity, dtype), values in sorted(largest.items())
    ]
    return "\n".join(entries)


def _is_finite(trial: Trial) -> bool:
    return all(one.value < float("inf") for one in trial.deviations)


def markdown(trials: Sequence[Trial], searches: Sequence[str], command: str) -> str:
    """Return the same as a Markdown document."""
    lines = [f"# Relations: `{command}`", "", summary(trials), ""]
    lines += ["| relation | cell | answer | what was measured |", "|---|---|---|---|"]
    lines += [
        f"| `{t.relation.name}` | {code(t.cell.id, 300)} | {SYMBOLS[t.verdict.outcome]} "
        f"{t.verdict.outcome} | {escape(t.verdict.message, _LONGEST)} |"
        for t in trials
    ]
    if searches:
        lines += ["", *(f"    {line}" for line in searches)]
    return "\n".join(lines) + "\n"
