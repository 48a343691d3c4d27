"""How far the parts of a window are, at a desk."""

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from harness.window.run import Reached


def render(found: Sequence[Reached]) -> Table:
    """Return one row a part: what is done, what is left, and what keeps it from being measured."""
    view = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("part", "done", "left", "next, or why not"):
        view.add_column(title, overflow="fold")
    for reached in found:
        told = "; ".join(dict.fromkeys(reached.why)) or (reached.left[0] if reached.left else "")
        row = (reached.part.name, str(len(reached.done)), str(len(reached.left)), told)
        view.add_row(*map(Text, row))
    return view


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
