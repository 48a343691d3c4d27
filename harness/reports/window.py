"""How far the parts of a window are, at a desk."""

from collections.abc import Sequence

from rich.table import Table

from harness.reports import named_rows
from harness.window.run import Reached


def render(found: Sequence[Reached]) -> Table:
    """Return one row a part: what is done, what is left, and what keeps it from being measured."""
    return named_rows.desk(("part", "done", "left", "next, or why not"), map(_row, found))


def _row(reached: Reached) -> tuple[str, ...]:
    told = "; ".join(dict.fromkeys(reached.why)) or (reached.left[0] if reached.left else "")
    return reached.part.name, str(len(reached.done)), str(len(reached.left)), told


def listed(found: Sequence[Reached]) -> list[str]:
    """Return one line a cell, in the order in which they are measured."""
    lines = []
    for reached in found:
        part = reached.part
        how = {"cells": f"{part.jobs} at once", "pairs": "in turns"}.get(
            part.do, f"{part.times} times alone"
        )
        lines.append(f"{part.name}: {how}, begun with {part.seconds:.0f} s left or more")
        lines += [f"  {label} (measured)" for label in reached.done]
        lines += [f"  {label}" for label in reached.left]
        lines += [f"  not here: {why}" for why in dict.fromkeys(reached.why)]
    return lines
