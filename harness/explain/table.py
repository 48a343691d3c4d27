"""An explanation as a table: in the order of computation, layers folded where nothing starts."""

import re
from collections.abc import Iterator
from itertools import groupby

from rich.console import Group
from rich.table import Table
from rich.text import Text

from harness.explain.explanation import Explanation, Row, Sameness

_LAYER = re.compile(r"layers\.\d+")
_STYLES = {Sameness.DIFFERS: "bold red", Sameness.NOT_COMPARED: "dim"}
_SEVERITY = [Sameness.NOT_COMPARED, Sameness.SAME, Sameness.ROUNDING, Sameness.DIFFERS]


def render(explanation: Explanation, a: str, b: str, *, every: bool = False) -> Group:
    """Lay out an explanation for a terminal.

    Args:
        explanation: What `harness.explain.explanation.explain` found.
        a: What to call the first side.
        b: What to call the second.
        every: Show each tensor, folding no layer.
    """
    table = Table("phase", "what", "dtype A", "dtype B", "deviation", "rounding", "verdict", "note")
    for row in explanation.rows if every else _folded(explanation):
        table.add_row(
            row.phase,
            row.title,
            *row.dtypes,
            _number(row.deviation),
            _number(row.rounding),
            Text(row.sameness.value, _STYLES.get(row.sameness, "")),
            row.note,
        )
    sentence = Text(explanation.sentence, "bold" if explanation.first else "")
    return Group(sentence, Text(f"A {a}\nB {b}"), table)


def _folded(explanation: Explanation) -> Iterator[Row]:
    """Yield one row a layer and kind, but each of the layer in which a phase first differs."""
    for phase, of_phase in groupby(explanation.rows, lambda row: row.phase):
        rows = list(of_phase)
        first = next((row for row in rows if row.sameness is Sameness.DIFFERS), None)
        shown = (first.what, _layer(first)) if first and phase else None
        for (what, layer), members in groupby(rows, lambda row: (row.what, _layer(row))):
            group = list(members)
            if not layer or len(group) == 1 or (what, layer) == shown:
                yield from group
            else:
                yield _worst(group, layer)


def _worst(group: list[Row], layer: str) -> Row:
    worst = max(group, key=lambda r: (_SEVERITY.index(r.sameness), _excess(r)))
    part = worst.name.removeprefix(layer).lstrip(".") or "its output"
    folded = f"most in {part}" if worst.deviation else ""
    return Row(
        worst.phase,
        worst.what,
        f"{layer}, {len(group)} tensors",
        worst.sameness,
        worst.dtypes,
        worst.deviation,
        worst.rounding,
        "; ".join(filter(None, (folded, worst.note))),
    )


def _excess(row: Row) -> float:
    return (row.deviation or 0.0) / (row.rounding or 1.0)


def _layer(row: Row) -> str:
    found = _LAYER.match(row.name)
    return found.group() if found else ""


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.1e}" if value else "0"
