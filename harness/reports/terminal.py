"""The outcome at a desk: one table that fits 100 columns, and what failed below it."""

import re
from pathlib import Path

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from harness.gate import CellResult, GateResult
from harness.reports import answer, releases, upgrading
from harness.reports.facts import (
    effective_precision,
    is_emulated,
    labelled,
    loss_words,
    peak_memory,
    tokens_per_second,
)
from harness.reports.upgrading import SYMBOLS as SYMBOLS_OF_STEPS
from harness.reports.wording import NOT_MEASURED, SYMBOLS, clean, count, one_line, rate, size
from harness.verdict import Outcome

_ID_WIDTH = 30


def show(result: GateResult, page: Path, console: Console) -> None:
    """Print the table, the answer, and where the report's page is."""
    console.print(table(result))
    console.print(summary(result))
    console.print(f"report: {page}", soft_wrap=True)


def table(result: GateResult) -> Table:
    """Return one row per cell, in the order of the run, for a terminal of 100 columns or more."""
    view = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    view.add_column("cell", overflow="fold", max_width=_ID_WIDTH)
    view.add_column("outcome", no_wrap=True)
    view.add_column("eval_loss", overflow="fold", no_wrap=False)
    view.add_column("precision", overflow="fold", max_width=14)
    view.add_column("tok/s", justify="right")
    view.add_column("memory", justify="right", no_wrap=True)
    for cell in result.cells:
        record, memory = cell.record, peak_memory(cell.record)
        view.add_row(
            Text(_folded(labelled(one_line(record.cell_id, 160), record))),
            _outcome(cell.outcome),
            Text(loss_words(record)),
            Text(one_line(effective_precision(record), 80).replace(", ", "\n")),
            Text(f"{rate(tokens_per_second(record))}{' emu' if is_emulated(record) else ''}"),
            Text(f"{size(memory[0])} {memory[1]}" if memory else NOT_MEASURED),
        )
    return view


def summary(result: GateResult) -> RenderableType:
    """Return the answer and, for what is red, message, diagnosis and advice.

    Text of a record is shown as it is: neither rich markup nor control characters take effect.
    """
    state = answer.state(result)
    lead = Text.assemble(
        _outcome(state.outcome, str(state)), ": ", clean(answer.reason(result)), style="bold"
    )
    parts: list[RenderableType] = [lead]
    parts += _releases(result)
    parts += [Text(clean(caveat), style="dim") for caveat in answer.caveats(result)]
    for finding in answer.findings(result):
        parts.append(Text())
        parts.append(_cell_line(finding.cells[0], len(finding.cells) - 1))
        for verdict in finding.verdicts:
            parts.append(_item("", f"{verdict.check}: {verdict.message}", "bold"))
        parts += [_item("why", cause) for cause in finding.diagnosis]
        parts += [_item("to do", step) for step in finding.advice]
        parts.append(_item("again", finding.cells[0].rerun))
    unanswered = [gap for gap in answer.gaps(result) if gap.outcome.is_unanswered_run]
    for gap in unanswered:
        parts.append(Text())
        parts.append(_cell_line(gap.cells[0], len(gap.cells) - 1))
        parts.append(_item("", gap.message))
        parts.append(_item("again", gap.cells[0].rerun))
    return Group(*parts)


def _releases(result: GateResult) -> list[RenderableType]:
    """Return a line with the verdict of each step between releases, since when, and moved losses."""
    found = releases.view(result)
    if not found.steps:
        return []
    shown = [f"{SYMBOLS_OF_STEPS[s.verdict]} {s.verdict} {s.title}" for s in found.steps]
    told = [f"{history.family.name}: {words}" for history, words in found.told[:2]]
    if len(found.told) > 2:
        told.append(f"{len(found.told) - 2} more in the report")
    lines = [f"Releases: {' · '.join(shown)}", f"Since when: {'; '.join(told)}" if told else ""]
    moved = [
        f"{step.title}: {one.pair.family.name}: {words}"
        for step in found.steps
        for one in step.pairs
        if (words := upgrading.losses(one.pair))
    ]
    lines += [f"Losses: {line}" for line in moved[:4]]
    if len(moved) > 4:
        lines.append(f"Losses: {len(moved) - 4} more in the report")
    return [Text(one_line(line, 1_200)) for line in lines if line]


def _cell_line(cell: CellResult, others: int) -> Text:
    name = labelled(one_line(cell.record.cell_id, 160), cell.record)
    more = f" and {count(others, 'other cell')}" if others else ""
    return Text.assemble(_outcome(cell.outcome), " ", name, more)


def _item(label: str, text: str, style: str = "") -> RenderableType:
    line = Table.grid(padding=(0, 1))
    line.add_column(width=5, style="dim")
    line.add_column(overflow="fold", style=style)
    line.add_row(Text(label), Text(one_line(text, 1_200)))
    return Padding(line, (0, 0, 0, 2))


def _outcome(outcome: Outcome, word: str | None = None) -> Text:
    red, lost = outcome.is_red, outcome.is_unanswered_run
    style = "bold red" if red else "yellow" if lost else "green" if outcome is Outcome.PASS else ""
    return Text(f"{SYMBOLS[outcome]} {word or outcome}", style=style)


def _folded(cell_id: str) -> str:
    """Break an id after slashes, so that no line is wider than its column."""
    lines = [""]
    for part in re.findall(r"[^/]*/|[^/]+", cell_id):
        if lines[-1] and len(lines[-1]) + len(part) > _ID_WIDTH:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)
