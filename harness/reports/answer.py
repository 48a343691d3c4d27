"""The answer in one sentence: sound or not, for which cells, why, and what to do."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from harness.gate import CellResult, GateResult
from harness.newest import loss_regressions
from harness.reports import upgrading
from harness.reports.facts import is_emulated, labelled, reachable, red_verdicts, worst_first
from harness.reports.wording import count, one_line
from harness.verdict import Outcome, Verdict

_PART = 280
_LOOK = "look at what moved there in the section on releases"


class State(StrEnum):
    """What the run says of the upgrade as a whole."""

    SOUND = "Sound"
    NOT_SOUND = "Not sound"
    NO_ANSWER = "No complete answer"

    @property
    def outcome(self) -> Outcome:
        """The outcome whose symbol and colour stand for the state."""
        if self is State.SOUND:
            return Outcome.PASS
        return Outcome.FAIL if self is State.NOT_SOUND else Outcome.INFRA


@dataclass(frozen=True)
class Finding:
    """Red cells that fail the same checks for the same reasons."""

    cells: tuple[CellResult, ...]
    verdicts: tuple[Verdict, ...]
    """The red verdicts of the first cell, the one that explains most first."""
    diagnosis: tuple[str, ...]
    advice: tuple[str, ...]

    @property
    def lead(self) -> Verdict:
        """The verdict that explains most."""
        return self.verdicts[0]


@dataclass(frozen=True)
class Gap:
    """Verdicts that are no answer, grouped by what they share."""

    outcome: Outcome
    message: str
    checks: tuple[str, ...]
    cells: tuple[CellResult, ...]

    @property
    def subject(self) -> str:
        """The checks without an answer: by name if they are few."""
        if len(self.checks) <= 4:
            return ", ".join(self.checks)
        return f"{', '.join(self.checks[:3])} and {len(self.checks) - 3} other checks"


def state(result: GateResult) -> State:
    """Say what the run amounts to.

    Sound only if there are cells, every one of them passes, and no upgrade moves their eval_loss.
    """
    if result.outcome.is_red:
        return State.NOT_SOUND
    outcomes = [cell.outcome for cell in result.cells]
    if outcomes and all(outcome is Outcome.PASS for outcome in outcomes):
        return State.SOUND
    return State.NO_ANSWER


def sentence(result: GateResult) -> str:
    """Return the whole answer as one sentence of plain text."""
    return f"{state(result)}: {reason(result)}"


def reason(result: GateResult) -> str:
    """Return the sentence behind the state: which cells, why, and what to do.

    With several releases in the run, what an upgrade to the newest means comes first.
    """
    return _reason(result, upgrading.lead(result.cells))


def paragraph(result: GateResult) -> str:
    """Return the reason to stand alone: with a capital, unless it begins with the id of a cell."""
    upgrade = upgrading.lead(result.cells)
    return _reason(result, upgrade and upgrade[0].upper() + upgrade[1:])


def _reason(result: GateResult, upgrade: str | None) -> str:
    return f"{upgrade}; {_cells(result)}" if upgrade else _cells(result)


def _cells(result: GateResult) -> str:
    total = len(result.cells)
    passed = sum(cell.outcome is Outcome.PASS for cell in result.cells)
    if not total:
        return "0 cells were run, so nothing can be said; to do: select at least one cell."
    moved = _moved_losses(result.cells)
    if found := findings(result):
        red = [cell for finding in found for cell in finding.cells]
        first, lead = found[0], found[0].lead
        where = "in the first, " if len(found) > 1 else ""
        do = _part(first.advice[0]) if first.advice else f"look at it with {red[0].rerun}"
        verb = "is" if len(red) == 1 else "are"
        return (
            f"{_names(red)} ({len(red)} of {count(total, 'cell')}) {verb} red: {where}"
            f"{_part(lead.message)}; to do: {do}{f'; besides, {moved}' if moved else ''}."
        )
    if passed == total:
        scope = f"{passed} of {count(total, 'cell')}"
        verb = "passes" if passed == 1 else "pass"
        rest = f", but {moved}; to do: {_LOOK}" if moved else "; nothing to do"
        return f"{scope} {verb} every check that could be measured{rest}."
    unanswered = _no_answer(result.cells, passed)
    return f"{moved}; {unanswered}" if moved else unanswered


def findings(result: GateResult) -> list[Finding]:
    """Group the red cells by what fails and why; what concerns most cells comes first.

    Reasons are compared without their figures, so that `skipped all 30 steps` and `skipped all 48
    steps` are one finding.
    """
    groups: dict[tuple[str, ...], list[CellResult]] = {}
    for cell in worst_first(result.cells):
        if red := red_verdicts(cell):
            groups.setdefault(_signature(red), []).append(cell)
    found = []
    for cells in groups.values():
        verdicts = sorted(red_verdicts(cells[0]), key=lambda v: (-len(v.diagnosis), -len(v.advice)))
        found.append(
            Finding(
                tuple(cells),
                tuple(verdicts),
                merged(verdict.diagnosis for verdict in verdicts),
                merged(verdict.advice for verdict in verdicts),
            )
        )
    return sorted(found, key=lambda f: (-len(f.cells), -len(f.verdicts), not f.advice))


def gaps(result: GateResult) -> list[Gap]:
    """Group what could not be measured by outcome and reason, unanswered runs first."""
    groups: dict[tuple[Outcome, str], list[tuple[CellResult, str]]] = {}
    for cell in result.cells:
        for verdict in cell.verdicts:
            if _is_open(verdict):
                key = (verdict.outcome, verdict.message)
                groups.setdefault(key, []).append((cell, verdict.check))
    found = [
        Gap(
            outcome,
            message,
            tuple(dict.fromkeys(check for _, check in members)),
            tuple({id(cell): cell for cell, _ in members}.values()),
        )
        for (outcome, message), members in groups.items()
    ]
    order = list(Outcome)
    return sorted(found, key=lambda g: (not g.outcome.is_unanswered_run, order.index(g.outcome)))


def caveats(result: GateResult) -> list[str]:
    """Return what limits the answer, each a sentence: non-answers, emulation, reuse, faults."""
    cells, found = result.cells, []
    open_ones = Counter(v.outcome for cell in cells for v in cell.verdicts if _is_open(v))
    if open_ones:
        parts = ", ".join(f"{amount} {outcome}" for outcome, amount in open_ones.most_common())
        found.append(f"{count(open_ones.total(), 'check result')} without an answer: {parts}.")
    if emulated := sum(is_emulated(cell.record) for cell in cells):
        found.append(
            f"{emulated} of {count(len(cells), 'cell')} ran on emulated hardware: dtype decisions "
            "are the library’s own, speed and memory are not the card’s."  # noqa: RUF001
        )
    reached = Counter(reach for cell in cells if (reach := reachable(cell.record)))
    for reach, amount in reached.items():
        found.append(f"{count(amount, 'cell')} ran where the release could reach {reach}.")
    if reused := sum(cell.reused for cell in cells):
        found.append(f"{count(reused, 'record')} reused from an earlier run.")
    if faults := sorted({cell.record.fault for cell in cells if cell.record.fault}):
        found.append(f"Faults injected on purpose: {one_line(', '.join(faults), _PART)}.")
    return found


def merged(parts: Iterable[Sequence[str]]) -> tuple[str, ...]:
    """Join texts in order, each once."""
    return tuple(dict.fromkeys(text for part in parts for text in part))


def _is_open(verdict: Verdict) -> bool:
    return verdict.outcome is not Outcome.PASS and not verdict.outcome.is_red


def _signature(red: Sequence[Verdict]) -> tuple[str, ...]:
    reasons = [cause for verdict in red for cause in verdict.diagnosis]
    return tuple(
        [f"{verdict.check} {verdict.outcome}" for verdict in red]
        + [re.sub(r"\d+(\.\d+)?(e[+-]?\d+)?", "#", cause) for cause in reasons]
    )


def _moved_losses(cells: Sequence[CellResult]) -> str:
    """Say where eval_loss moved between cells that pass; empty if nowhere."""
    found = loss_regressions(cells)
    if not found:
        return ""
    step, names = found[0], {pair.family.name for one in found for pair in one.pairs}
    where = f"from {one_line(step.old.label, _PART)} to {one_line(step.new.label, _PART)}"
    if len(found) > 1:
        where += f" and in {count(len(found) - 1, 'more step')}"
    return f"the eval_loss of {count(len(names), 'cell')} moved {where}"


def _names(cells: Sequence[CellResult]) -> str:
    first = one_line(labelled(cells[0].record.cell_id, cells[0].record), _PART)
    if len(cells) == 1:
        return first
    return f"{first} and {count(len(cells) - 1, 'other cell')}"


def _part(text: str) -> str:
    return one_line(text, _PART).rstrip(" .;")


def _no_answer(cells: Sequence[CellResult], passed: int) -> str:
    unanswered = [cell for cell in worst_first(cells) if cell.outcome is not Outcome.PASS]
    first = unanswered[0]
    why = next((v for v in first.verdicts if v.outcome is first.outcome), None)
    words = f"{first.outcome}, {_part(why.message)}" if why else "no check was applied"
    rest = "no cell passes" if not passed else f"{count(passed, 'other cell')} passed"
    share = f"{len(unanswered)} of {count(len(cells), 'cell')}"
    return (
        f"{_names(unanswered)} ({share}) without an answer: {words}; {rest}; "
        f"to do: run it again with {first.rerun}."
    )
