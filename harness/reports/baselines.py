"""Baselines as tables for a terminal: what an update moved, what there is, what one holds."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from harness.baselines.baseline import Baseline
from harness.baselines.update import Update
from harness.figures import OVER_REFERENCE, worse
from harness.reports.wording import clean


def render_update(done: Update) -> RenderableType:
    """Return what an update wrote: figures with their bands, and how far they are from the former."""
    lines = [f"{done.baseline.cell_id}: {done.path}"]
    if done.former is None:
        lines.append("  the first baseline of this experiment on this machine")
    elif differing := done.former.comparable.differences(done.baseline.comparable):
        lines.append(f"  the former is not comparable: it differs in {', '.join(differing)}")
    if done.unanswered:
        lines.append(f"  not answered by these runs: {', '.join(done.unanswered)}")
    return Group(*map(Text, lines), figures_table(done.baseline))


def render(baseline: Baseline) -> RenderableType:
    """Return all that a baseline holds."""
    keys = baseline.comparable.model_dump(exclude_none=True)
    lines = [
        f"{baseline.experiment} on {baseline.comparable.machine}",
        f"  {len(baseline.runs)} runs of {baseline.cell_id}, {baseline.runs[0].started_at[:10]}",
        f"  comparable: {', '.join(f'{key} {value}' for key, value in keys.items())}",
    ]
    if (approval := baseline.approval) is not None:
        lines.append(f"  approved {approval.approved_at} at {approval.commit[:12]}")
        lines.append(f"  because: {clean(approval.reason)}")
        lines += [f"  in place of: {approval.former}"] if approval.former else []
    return Group(*map(Text, lines), figures_table(baseline))


def figures_table(baseline: Baseline) -> Table:
    """Return a line a figure: center, band, and the signed difference from the former center."""
    moved = baseline.approval.differences if baseline.approval else {}
    view = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    view.add_column("figure", overflow="fold")
    for title in ("center", "band", "judged side", "against the former"):
        view.add_column(title, justify="right")
    for name, band in baseline.bands.items():
        low, high = band.low / band.center - 1, band.high / band.center - 1
        shown = f"{band.center / 2**20:,.1f} MiB" if _is_bytes(name) else f"{band.center:,.4g}"
        view.add_row(
            name,
            shown,
            f"{low:+.1%} ... {high:+.1%}",
            f"{low:+.1%}" if worse(name) == "lower" else f"{high:+.1%}",
            f"{moved[name]:+.1%}" if name in moved else "-",
        )
    return view


def render_list(baselines: Sequence[Baseline]) -> RenderableType:
    """Return a line a baseline."""
    view = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for title in ("experiment", "machine", "release", "runs", "approved", "reason"):
        view.add_column(title, overflow="fold")
    for one in baselines:
        approval = one.approval
        day, reason = (approval.approved_at[:10], approval.reason) if approval else ("", "")
        row = (one.experiment, one.comparable.machine, one.release, str(len(one.runs)), day, reason)
        view.add_row(*(Text(clean(word)) for word in row))
    return view


def _is_bytes(name: str) -> bool:
    return name.startswith("peak_") and not name.endswith(OVER_REFERENCE)
