"""The table fault x check, at a desk and as Markdown."""

from collections.abc import Iterator

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from harness.cell_result import CellResult
from harness.checks import all_checks
from harness.faults.trials import CleanTrial, Finding, Trial, Trials
from harness.reports.markdown_text import escape
from harness.reports.wording import MEANINGS, SYMBOLS, clean
from harness.verdict import Outcome


def render(trials: Trials) -> RenderableType:
    """Return the table for a terminal, one column a check, then what it means and what is wrong."""
    checks = [check.name for check in all_checks()]
    view = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 1, 0, 0))
    for title in ("fault", "imitates", "finding", "meant for"):
        view.add_column(title, overflow="fold")
    for number in range(1, len(checks) + 1):
        view.add_column(str(number), no_wrap=True)
    for trial in trials.faults:
        row = (trial.fault.name, trial.fault.row, _finding(trial), trial.fault.check or "no check")
        view.add_row(*map(Text, row), *_symbols(trial.cell, checks))
    for run in trials.clean:
        view.add_row(
            *map(Text, (run.clean.name, "clean", _clean_finding(run), "")),
            *_symbols(run.cell, checks),
        )
    legend = "  ".join(f"{number} {name}" for number, name in enumerate(checks, 1))
    lines = [Text(), Text(legend, style="dim"), Text(_meanings(trials), style="dim"), Text()]
    lines += [Text(line, style="bold") for line in summary(trials)]
    lines += [Text(clean(f"{name}: {problem}"), style="red") for name, problem in trials.problems]
    return Group(view, *lines)


def markdown(trials: Trials, command: str) -> str:
    """Return the same as a Markdown document."""
    checks = [check.name for check in all_checks()]
    head = ["fault", "imitates", "finding", "meant for", *(f"`{name}`" for name in checks)]
    lines = [f"# Faults: `{command}`", "", *(f"- {line}" for line in summary(trials)), ""]
    lines += [_row(head), _row(["---"] * len(head))]
    for trial in trials.faults:
        fault = trial.fault
        meant = f"`{fault.check}`" if fault.check else "no check"
        first = [f"`{fault.name}`", fault.row, _finding(trial), meant]
        lines.append(_row([*first, *_symbols(trial.cell, checks)]))
    lines += [
        _row([f"`{run.clean.name}`", "clean", _clean_finding(run), "", *_symbols(run.cell, checks)])
        for run in trials.clean
    ]
    lines += ["", _meanings(trials), ""]
    if gaps := [t.fault for t in trials.faults if t.fault.would_see]:
        lines += ["What would see the declared gaps:", ""]
        lines += [f"- `{fault.name}`: {fault.would_see}" for fault in gaps]
    if trials.problems:
        lines += ["", "Not as the catalogue says:", ""]
        lines += [f"- `{name}`: {escape(problem, 400)}" for name, problem in trials.problems]
    return "\n".join(lines).rstrip() + "\n"


def summary(trials: Trials) -> Iterator[str]:
    """Yield the detection rate and the false alarms, in a sentence each."""
    total = len(trials.faults)
    if total:
        detected = trials.count(Finding.DETECTED)
        rest = [(finding, trials.count(finding)) for finding in Finding]
        others = [f"{n} {f}" for f, n in rest if n and f is not Finding.DETECTED]
        declared = sum(bool(t.fault.would_see) and t.problem is None for t in trials.faults)
        tail = f" ({', '.join(others)}; {declared} of them declared)" if others else ""
        yield (
            f"{detected} of {total} faults ({detected / total:.0%}) are detected by the check "
            f"meant for them{tail}"
        )
    if trials.clean:
        alarms = sum(run.is_false_alarm for run in trials.clean)
        yield f"{alarms} false alarms in {len(trials.clean)} clean runs"


def _finding(trial: Trial) -> str:
    declared = " (declared)" if trial.fault.would_see and trial.problem is None else ""
    return f"{trial.finding}{declared}"


def _clean_finding(run: CleanTrial) -> str:
    if run.is_false_alarm:
        return "FALSE ALARM"
    return "passes" if run.problem is None else str(Finding.NO_ANSWER)


def _symbols(cell: CellResult, checks: list[str]) -> list[str]:
    said = {verdict.check: verdict.outcome for verdict in cell.verdicts}
    return [SYMBOLS[said.get(name, Outcome.SKIPPED)] for name in checks]


def _meanings(trials: Trials) -> str:
    cells = [trial.cell for trial in trials.faults] + [run.cell for run in trials.clean]
    used = {verdict.outcome for cell in cells for verdict in cell.verdicts}
    return "; ".join(f"{SYMBOLS[o]} {o}: {MEANINGS[o]}" for o in Outcome if o in used)


def _row(texts: list[str]) -> str:
    return "| " + " | ".join(texts) + " |"
