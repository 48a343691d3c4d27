"""Tables of rows that begin with a name, a cell's id or a part's: at a desk, and as Markdown."""

from collections.abc import Iterable, Sequence

from rich.table import Table
from rich.text import Text

from harness.reports.markdown_text import escape


def desk(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> Table:
    """Return a table for a terminal; what is too long for a column goes on below."""
    view = Table(box=None, pad_edge=False, header_style="bold")
    for title in titles:
        view.add_column(title, overflow="fold")
    for row in rows:
        view.add_row(*map(Text, row))
    return view


def markdown(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return the lines of a Markdown table, the names as code."""
    lines = [titles, ["---"] * len(titles)]
    lines += [[f"`{name}`", *(escape(cell, 300) for cell in rest)] for name, *rest in rows]
    return [f"| {' | '.join(line)} |" for line in lines]
