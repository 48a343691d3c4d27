"""The table emulated beside real, at a desk and as Markdown."""

import math
from collections.abc import Sequence

from rich.table import Table

from harness.fidelity import Pairing
from harness.reports import named_rows
from harness.reports.markdown_text import escape

_HEAD = (
    "cell",
    "on",
    "decisions",
    "eval_loss on the GPU",
    "emulated on a CPU",
    "largest difference",
)


def render(pairings: Sequence[Pairing]) -> Table:
    """Return the table for a terminal."""
    return named_rows.desk(_HEAD, map(_row, pairings))


def summary(pairings: Sequence[Pairing]) -> list[str]:
    """Say in how many cells every decision is equal, how far losses are apart, and what else differs."""
    if not pairings:
        return ["no cell completed both on a GPU and emulated: nothing is compared"]
    equal = sum(not pairing.differing for pairing in pairings)
    differences = [pairing.loss_difference for pairing in pairings]
    apart = [value for value in differences if not math.isnan(value)]
    lines = [f"every decision is equal in {equal} of {len(pairings)} cells"]
    if apart:
        lines.append(
            f"eval_loss is at most {max(apart):.2g} apart, relative, in {len(apart)} cells"
        )
    if len(apart) < len(differences):
        lines.append(
            f"eval_loss is not finite or incomplete in {len(differences) - len(apart)} cells"
        )
    versions = {
        f"{name} {ours} emulated, {theirs} on the GPU"
        for pairing in pairings
        for name, (ours, theirs) in pairing.other_versions.items()
    }
    return [*lines, *(f"not the same: {text}" for text in sorted(versions))]


def markdown(pairings: Sequence[Pairing], command: str) -> str:
    """Return the same as a Markdown document."""
    lines = [f"# Emulated beside real: `{command}`", ""]
    lines += [f"- {escape(line, 300)}" for line in summary(pairings)]
    lines += ["", *named_rows.markdown(_HEAD, map(_row, pairings))]
    return "\n".join(lines) + "\n"


def _row(pairing: Pairing) -> list[str]:
    differing = pairing.differing
    decisions = f"{pairing.decisions - len(differing)} of {pairing.decisions} equal"
    for name, (ours, theirs) in differing.items():
        decisions += f"; {name} {ours} emulated, {theirs} on the GPU"
    apart = pairing.loss_difference
    return [
        pairing.name,
        pairing.real.hardware.device,
        decisions,
        _losses(pairing.real.eval_losses),
        _losses(pairing.emulated.eval_losses),
        "no answer" if math.isnan(apart) else f"{apart:.1e}",
    ]


def _losses(losses: Sequence[float]) -> str:
    return " ".join(f"{loss:.4f}" for loss in losses)
