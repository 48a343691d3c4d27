"""What the gate's rule and those of other tools find, and how often they raise a false alarm."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from harness.errors import IncompleteError
from harness.reports.markdown_text import code, escape
from harness.sensitivity.rates import BUDGETS, SIZES, Leaks, Rate, Spread
from harness.throughput.sequential import ALPHA, BETA, Design
from harness.throughput.sequential_rates import power

FEW, ALL = BUDGETS
MARGIN, LARGE = 0.05, 0.10


@dataclass(frozen=True)
class Study:
    """What came of it.

    Attributes:
        cell: Id of the cell whose steps were measured.
        device: What it ran on.
        pairs: Process pairs in the pool.
        own: Name of the gate's own rule.
        rates: Of all rules; none where the pool is too small for a budget.
        spreads: What the pairs measured.
        leaks: Of the check of memory growth, if it was asked.
    """

    cell: str
    device: str
    pairs: int
    own: str
    rates: Sequence[Rate]
    spreads: Sequence[Spread]
    leaks: Sequence[Leaks] = ()

    @property
    def rules(self) -> list[str]:
        """Names of the rules, in order of appearance."""
        return list(dict.fromkeys(rate.rule for rate in self.rates))

    def rate(self, rule: str, size: float, budget: int) -> Rate | None:
        """Return one rate, None where the pool was too small for it."""
        key = (rule, size, budget)
        return next((r for r in self.rates if (r.rule, r.size, r.budget) == key), None)

    def meets(self, rule: str) -> bool | None:
        """Whether a rule's rates meet all targets; None where one was not measured."""
        wanted = [self.rate(rule, *asked) for asked in ((0, ALL), (MARGIN, ALL), (LARGE, FEW))]
        found = [rate.share for rate in wanted if rate is not None]
        if len(found) < len(wanted):
            return None
        false_alarms, *detected = found
        return false_alarms <= ALPHA and min(detected) >= 1 - BETA

    @property
    def exit_code(self) -> int:
        """0 the gate's own rule meets the targets, 1 it does not, 19 too few pairs."""
        met = self.meets(self.own)
        return IncompleteError.exit_code if met is None else int(not met)


def render(study: Study) -> RenderableType:
    """Return the tables for a terminal."""
    parts: list[RenderableType] = []
    for title, head, rows in _tables(study):
        view = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
        for name in head:
            view.add_column(name, overflow="fold")
        for row in rows:
            view.add_row(*map(Text, row))
        parts += [Text(title, "bold"), view, Text()]
    return Group(*parts, *(Text(line) for line in _explained(study)))


def markdown(study: Study, command: str) -> str:
    """Return the same as a Markdown document."""
    lines = [f"# Sensitivity: `{command}`", ""]
    for title, head, rows in _tables(study):
        lines += [f"## {title}", "", f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
        lines += [f"| {' | '.join([code(row[0], 200), *row[1:]])} |" for row in rows] + [""]
    lines += [f"- {escape(line, 1000)}" for line in _explained(study)]
    return "\n".join(lines) + "\n"


def _tables(study: Study) -> Iterator[tuple[str, list[str], Sequence[tuple[str, ...]]]]:
    sizes = [f"{size:.0%} slower" if size else "false alarms" for size in SIZES]
    said = "percent of sequences called slower (95 % interval)"
    # A budget that the pool does not fill has no table: its rates are not measured.
    for budget in (b for b in BUDGETS if b <= study.pairs):
        rows = [_row(study, rule, budget) for rule in study.rules]
        yield f"Within {budget} process pairs: {said}", ["rule", *sizes, "pairs"], rows
    verdicts = {True: "yes", False: "no", None: "not measured"}
    rows = [(rule, verdicts[study.meets(rule)]) for rule in study.rules]
    targets = (
        f"Meets the targets: at most {ALPHA:.0%} false alarms, {MARGIN:.0%} found in {1 - BETA:.0%} within "
        f"{ALL} pairs, {LARGE:.0%} in {1 - BETA:.0%} within {FEW}"
    )
    yield targets, ["rule", ""], rows
    head = ["injected", "pairs", "measured", "sd of a pair", "own error: median, most"]
    yield "What the pairs measured", head, [_spread_row(spread) for spread in study.spreads]
    if study.leaks:
        head = ["memory", "runs", "memory_growth fails, percent of runs"]
        leaks = [
            ("a leak" if one.leaking else "no leak", str(one.runs), _interval(one))
            for one in study.leaks
        ]
        yield "A memory leak", head, leaks


def _row(study: Study, rule: str, budget: int) -> tuple[str, ...]:
    found = [study.rate(rule, size, budget) for size in SIZES]
    used = [rate.pairs for rate in found if rate is not None]
    mean = f"{min(used):.1f}-{max(used):.1f}" if used else ""
    return (rule, *(_interval(rate) if rate else "not measured" for rate in found), mean)


def _interval(rate: Rate | Leaks) -> str:
    return f"{100 * rate.share:.3g} ({100 * rate.low:.0f}-{100 * rate.high:.0f})"


def _spread_row(spread: Spread) -> tuple[str, ...]:
    kind = f", {spread.kind}" if spread.kind else ", all kinds" if spread.size else ""
    measured, sd = f"{spread.measured:+.2%}", ""
    if spread.pairs > 1:
        measured += f" ({spread.low:+.2%} to {spread.high:+.2%})"
        sd = f"{spread.sd:.2%} ({spread.sd_low:.2%} to {spread.sd_high:.2%})"
    own = f"{spread.own_error:.2%}, {spread.own_error_most:.2%}"
    return f"{spread.size:.0%}{kind}", str(spread.pairs), measured, sd, own


def _explained(study: Study) -> Iterator[str]:
    yield f"{study.pairs} process pairs of {study.cell} on {study.device}."
    plain = next((s for s in study.spreads if not s.size and math.isfinite(s.sd_high)), None)
    if plain:
        ours = [
            f"{size:.0%} is found within {budget} pairs with "
            f"{power(math.log1p(size), plain.sd_high, Design(MARGIN, budget)):.1%}"
            for size, budget in ((MARGIN, ALL), (LARGE, FEW))
        ]
        yield (
            f"By the design of the gate's rule, at the upper end of the spread of unslowed pairs "
            f"({plain.sd_high:.1%}) and if pairs are normal: {', '.join(ours)}."
        )
    yield (
        "The own error of a pair is the standard error of its log ratio by the turns it has: a pair whose own "
        "error is several times the median was disturbed while it was measured."
    )
    if not study.rates:
        yield f"The smallest budget is {FEW} pairs: there are no rates yet. Run again to go on."
        return
    yield (
        "Rates are over sequences drawn from the pairs; in brackets 95 % Clopper-Pearson intervals at the "
        "number of independent sequences that the jackknife over pairs gives, and where all sequences "
        "agree, pairs / budget. More pairs narrow them."
    )
    yield (
        "All rules see the same steps: the gate's stops as soon as it is clear, the others get every step "
        "of the whole budget at once. False alarms: the two sides of an unslowed pair are exchanged at random."
    )
