"""The comparison of releases in Markdown: verdicts first, details while there is room."""

from harness.reports.markdown_text import code, escape
from harness.reports.releases import PairView, Reason, ReleasesView, StepView
from harness.reports.upgrading import SYMBOLS
from harness.reports.wording import SYMBOLS as OUTCOMES
from harness.reports.wording import count
from harness.upgrades import StepVerdict

_TOLD = 6
_FACTS = 8
_ROWS = 12


def section(view: ReleasesView, limit: int) -> list[str]:
    """Return the lines of the section, empty where there is nothing to compare.

    When not all of it fits, each step keeps its verdict, then the worst steps their details; when
    not even the verdicts fit, those of the worst steps and a count of the rest.

    Args:
        view: The comparison.
        limit: Largest size in bytes of UTF-8, line ends included.
    """
    if not view.steps:
        return []
    lines = ["", "### From release to release", ""]
    left = limit - _bytes(lines) - 120  # the count of what is left out
    order = list(StepVerdict)
    worst_first = sorted(
        range(len(view.steps)), key=lambda place: order.index(view.steps[place].verdict)
    )
    heads: dict[int, str] = {}
    details: dict[int, list[str]] = {}
    for place in worst_first:
        head = _head(view.steps[place])
        if _bytes([head]) <= left:
            heads[place] = head
            left -= _bytes([head])
    told = [_since(name, words) for name, words in _told(view)]
    while told and _bytes(told) > left:
        told.pop()
    left -= _bytes(told)
    for place in worst_first:
        detail = _detail(view.steps[place])
        if place in heads and _bytes(detail) <= left:
            details[place] = detail
            left -= _bytes(detail)
    if not heads:
        return []
    lines += [heads[place] for place in sorted(heads)] + told
    for place in sorted(details):
        lines += details[place]
    short = []
    if gone := len(view.steps) - len(heads):
        short.append(count(gone, "further step"))
    if gone := len(heads) - len(details):
        short.append(f"the details of {count(gone, 'step')}")
    return lines + (["", f"Left out to keep this short: {', '.join(short)}."] if short else [])


def _head(step: StepView) -> str:
    title, reason = escape(step.title, 160), escape(step.reason, 900)
    return f"- **{SYMBOLS[step.verdict]} {step.verdict}** {title}: {reason}"


def _told(view: ReleasesView) -> list[tuple[str, str]]:
    return [(history.family.name, words) for history, words in view.told[:_TOLD]]


def _since(name: str, words: str) -> str:
    return f"- {code(name, 120)}: {escape(words, 300)}"


def _detail(step: StepView) -> list[str]:
    lines = ["", f"**{escape(step.title, 160)}**", ""]
    for reason in step.reasons[:3]:
        lines += _why(reason)
    for aspect in step.aspects:
        facts = aspect.telling
        if not facts:
            continue
        shown = "; ".join(escape(fact.words, 160) for fact in facts[:_FACTS])
        more = f"; {len(facts) - _FACTS} more" if len(facts) > _FACTS else ""
        lines.append(f"- {aspect.title} moved: {shown}{more}")
    lines += ["", "| step | cell | outcome | last eval_loss | tokens/s | peak memory |"]
    lines += ["|---|---|---|---|---|---|", *(_row(one) for one in step.pairs[:_ROWS])]
    if len(step.pairs) > _ROWS:
        lines += ["", f"{len(step.pairs) - _ROWS} further cells of this step, none of them worse."]
    return lines


def _why(reason: Reason) -> list[str]:
    name = code(reason.pairs[0].family.name, 120)
    more = len(reason.pairs) - 1
    where = f"{name} and {count(more, 'other cell')}" if more else name
    lead, *others = reason.verdicts
    lines = [f"- {where}: {escape(lead.message, 300)}"]
    if not reason.diagnosis:
        lines += [f"  - {escape(other.message, 300)}" for other in others[:3]]
    lines += [f"  - Why: {escape(cause, 300)}" for cause in reason.diagnosis[:3]]
    if reason.candidates:
        shown = "; ".join(escape(fact, 160) for fact in reason.candidates[:_FACTS])
        lines.append(f"  - Moved in it: {shown}")
    return lines


def _row(one: PairView) -> str:
    pair = one.pair
    outcomes = " → ".join(
        f"{OUTCOMES[cell.outcome]} {cell.outcome}" if cell else "not run"
        for cell in (pair.old, pair.new)
    )
    cells = [f"{SYMBOLS[pair.verdict]} {pair.verdict}", code(pair.family.name, 120), outcomes]
    for figures in (one.eval_loss, one.speed, one.memory):
        remark = f" ({escape(figures.remark, 80)})" if figures.remark else ""
        cells.append(f"{figures.old} → {figures.new}{remark}")
    return f"| {' | '.join(cells)} |"


def _bytes(lines: list[str]) -> int:
    return sum(len(line.encode()) + 1 for line in lines)
