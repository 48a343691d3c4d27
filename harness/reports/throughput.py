"""The answer of paired throughput, as a table for a terminal and as Markdown."""

import statistics
from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from harness.reports.markdown_text import code, escape
from harness.throughput.answer import MARGINS, NAMES, Answer
from harness.throughput.sequential import Decision
from harness.throughput.turns import Figure

_TITLES = ("", "A", "B", "B / A", "interval", "", "power", "detectable")
_WORDS = {"SLOWER": "✗ SLOWER", "NOT_SLOWER": "✓ NOT SLOWER", "UNDECIDED": "? UNDECIDED"}


def render(answer: Answer) -> RenderableType:
    """Return the table for a terminal, one line a figure, and what stands behind it."""
    view = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 1, 0, 0))
    for title in _TITLES:
        view.add_column(title, overflow="fold")
    for row in _rows(answer):
        view.add_row(*map(Text, row))
    lines = (Text(line) for line in _explained(answer))
    return Group(*_sides(answer), Text(), view, Text(), Text(_answer(answer), "bold"), *lines)


def markdown(answer: Answer, command: str) -> str:
    """Return the same as a Markdown document."""
    series = answer.series
    lines = [f"# Throughput: `{command}`", "", escape(_answer(answer), 1000), ""]
    lines += [f"- A: {code(series.a, 300)}", f"- B: {code(series.b, 300)}{_injected(answer)}", ""]
    lines += [f"| {' | '.join(_TITLES)} |", "|---" * len(_TITLES) + "|"]
    lines += [f"| {' | '.join(row)} |" for row in _rows(answer)]
    lines += ["", *(f"- {escape(line, 1000)}" for line in _explained(answer))]
    return "\n".join(lines) + "\n"


def _answer(answer: Answer) -> str:
    word = "SLOWER" if answer.slower else answer.decisions["step"].outcome
    return f"{_WORDS[word]}: {answer.sentence}"


def _sides(answer: Answer) -> Iterator[Text]:
    yield Text(f"A {answer.series.a}")
    yield Text(f"B {answer.series.b}{_injected(answer)}")


def _injected(answer: Answer) -> str:
    series = answer.series
    if series.fault is None:
        return ""
    return f" with {series.fault}" + (f" of {series.slowdown:.0%}" if series.slowdown else "")


def _rows(answer: Answer) -> Iterator[tuple[str, ...]]:
    for figure, decision in answer.decisions.items():
        a, b = (_seconds(answer, side, figure) for side in ("a", "b"))
        yield (
            NAMES[figure],
            _time(a),
            _time(b),
            _ratio(decision.ratio),
            f"{_ratio(decision.low)}-{_ratio(decision.high)}",
            _WORDS[decision.outcome],
            f"{decision.power:.0%}",
            f"+{decision.detectable:.1%}",
        )


def _explained(answer: Answer) -> Iterator[str]:
    decision: Decision = answer.decisions["step"]
    measured = answer.series.pairs[: decision.pairs]
    seconds = sum(pair.seconds for pair in measured)
    yield f"Rule: {decision.rule}."
    yield (
        f"Power: the probability of finding a training step slower by {decision.design.margin:.0%}, an "
        f"evaluation by {MARGINS['evaluation']:.0%}, a start-up (from nothing to the end of the first step) "
        f"by {MARGINS['start_up']:.0%}, at the spread seen. Detectable: what is found with 95 %."
    )
    yield f"{decision.pairs} process pairs, {seconds:.0f} s of measurement, on {answer.series.device}."
    if answer.series.emulation:
        yield f"Hardware {answer.series.emulation}: the times are not the card's."
    if any(pair.nice > -20 for pair in measured):
        yield "Without the right to a higher scheduling priority the spread is larger."


def _seconds(answer: Answer, side: str, figure: Figure) -> float:
    pairs = answer.series.pairs[: answer.decisions[figure].pairs]
    times = (seconds for one in pairs for seconds in getattr(getattr(one.pair, side), figure))
    return float(statistics.median(times))


def _time(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{1000 * seconds:.1f} ms"


def _ratio(value: float) -> str:
    return f"{value:.3f}"
