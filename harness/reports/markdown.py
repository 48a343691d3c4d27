"""A summary in GitHub Markdown for a job summary or a pull request, within a size limit."""

from collections.abc import Iterable, Sequence

from harness.gate import CellResult, GateResult
from harness.reports import answer, markdown_releases, releases
from harness.reports.answer import Finding, Gap
from harness.reports.facts import (
    effective_precision,
    is_emulated,
    labelled,
    loss_words,
    peak_memory,
    tokens_per_second,
    worst_first,
)
from harness.reports.markdown_text import code, escape
from harness.reports.releases import ReleasesView
from harness.reports.wording import (
    NOT_MEASURED,
    SYMBOLS,
    clean,
    count,
    rate,
    seconds,
    size,
)
from harness.verdict import Outcome

_COMMAND = 1_200  # a command that is cut does not run
_HEADER = (
    "| cell | outcome | eval_loss start → end | effective precision | tokens/s | peak memory |",
    "|---|---|---|---|---:|---:|",
)


def render(result: GateResult, limit: int = 64_000, comparison: ReleasesView | None = None) -> str:
    """Render verdict, cells, failures and gaps.

    When not all of it fits, red cells and what failed in them are kept before anything else, and
    each list says how many entries were left out.

    Args:
        result: What the gate judged.
        limit: Largest size in bytes of UTF-8; a pull-request comment takes 65 536 characters.
        comparison: The view of its releases, where there is one already.
    """
    ran = f"{code(result.command, 300)}, harness {escape(result.harness_version, 40)}"
    state = answer.state(result)
    head = [
        f"## {SYMBOLS[state.outcome]} {state}",
        "",
        escape(answer.paragraph(result), 1_800),
        "",
        *(f"- {escape(caveat, 400)}" for caveat in answer.caveats(result)),
        "",
        f"{count(len(result.cells), 'cell')} in {seconds(result.duration_s)}, {ran}",
    ]
    left = limit - _bytes(head) - 400  # headings, blank lines and the counts of what is left out
    if left < 0:
        return _cut("\n".join(head), limit)
    cells = worst_first(result.cells)
    red = [cell for cell in cells if cell.outcome.is_red]
    others = cells[len(red) :]  # worst first: red before anything else
    found = answer.findings(result)

    compared = markdown_releases.section(comparison or releases.view(result), left // 3)
    left -= _bytes(compared)
    kept_red = _fit(map(_row, red), left // 2)
    left -= _bytes(kept_red)
    kept_findings = _fit(map(_finding, found), left * 2 // 3)
    left -= _bytes(kept_findings)
    gaps = answer.gaps(result)
    kept_gaps = _fit(map(_gap, gaps), left // 2)
    left -= _bytes(kept_gaps)
    kept_others = _fit(map(_row, others), left) if len(kept_red) == len(red) else []

    lines = [*head, *compared, "", *_HEADER, *kept_red, *kept_others]
    lines += _rest(len(cells) - len(kept_red) - len(kept_others), "cell")
    if found:
        lines += ["", "### What failed, why, and what to do", *kept_findings]
        lines += _rest(len(found) - len(kept_findings), "finding")
    if gaps:
        lines += ["", "### What could not be measured", "", *kept_gaps]
        lines += _rest(len(gaps) - len(kept_gaps), "reason")
    return _cut("\n".join(lines) + "\n", limit)


def _row(cell: CellResult) -> str:
    record = cell.record
    memory = peak_memory(record)
    note = " (emulated)" if is_emulated(record) else ""
    figures = (
        code(labelled(record.cell_id, record), 160) + (" reused" if cell.reused else ""),
        _outcome(cell.outcome),
        loss_words(record),
        escape(effective_precision(record), 80),
        rate(tokens_per_second(record)) + note,
        f"{size(memory[0])} {memory[1]}{note}" if memory else NOT_MEASURED,
    )
    return f"| {' | '.join(figures)} |"


def _finding(finding: Finding) -> str:
    names = ", ".join(code(labelled(c.record.cell_id, c.record), 160) for c in finding.cells[:3])
    more = f" and {len(finding.cells) - 3} more" if len(finding.cells) > 3 else ""
    lines = ["", f"**{_outcome(finding.cells[0].outcome)}** {names}{more}", ""]
    lines += [f"- {code(v.check, 60)} {escape(v.message, 400)}" for v in finding.verdicts[:8]]
    lines += [f"- Why: {escape(cause, 400)}" for cause in finding.diagnosis[:4]]
    lines += [f"- To do: {escape(step, 400)}" for step in finding.advice[:4]]
    lines.append(f"- Run it again: {code(finding.cells[0].rerun, _COMMAND)}")
    return "\n".join(lines)


def _gap(gap: Gap) -> str:
    where = code(labelled(gap.cells[0].record.cell_id, gap.cells[0].record), 160)
    if len(gap.cells) > 1:
        where = count(len(gap.cells), "cell")
    subject, message = escape(gap.subject, 200), escape(gap.message, 300)
    return f"- {_outcome(gap.outcome)} {subject} in {where}: {message}"


def _outcome(outcome: Outcome) -> str:
    return f"{SYMBOLS[outcome]} {outcome}"


def _fit(lines: Iterable[str], budget: int) -> list[str]:
    kept: list[str] = []
    for line in lines:
        budget -= _bytes([line])
        if budget < 0:
            break
        kept.append(line)
    return kept


def _rest(amount: int, noun: str) -> list[str]:
    if amount <= 0:
        return []
    return [
        "",
        f"{count(amount, f'further {noun}')} left out to keep this short; see the HTML report.",
    ]


def _bytes(lines: Sequence[str]) -> int:
    return sum(len(line.encode()) + 1 for line in lines)


def _cut(text: str, limit: int) -> str:
    return clean(text.encode()[:limit].decode(errors="ignore"))
