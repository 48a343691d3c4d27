"""Upgrades in words: is it safe to move to the newest release, and since when is a cell red."""

from collections.abc import Sequence
from itertools import dropwhile, groupby

from harness.gate import CellResult
from harness.newest import Upgrade, to_newest
from harness.releases import History
from harness.reports.wording import count, one_line
from harness.upgrades import Pair, Step, StepVerdict
from harness.verdict import Outcome

SYMBOLS: dict[StepVerdict, str] = {
    StepVerdict.NOT_SAFE: "✗",
    StepVerdict.NO_ANSWER: "?",
    StepVerdict.STILL_RED: "=",
    StepVerdict.FIXED: "↑",
    StepVerdict.SAFE: "✓",
    StepVerdict.NOT_COMPARED: "+",
}

_MEANS: dict[StepVerdict, tuple[str, str]] = {
    StepVerdict.NOT_SAFE: ("regresses", "regress"),
    StepVerdict.NO_ANSWER: ("cannot be compared", "cannot be compared"),
    StepVerdict.STILL_RED: ("is red on both sides", "are red on both sides"),
    StepVerdict.FIXED: ("is fixed", "are fixed"),
    StepVerdict.SAFE: ("passes on both sides", "pass on both sides"),
    StepVerdict.NOT_COMPARED: ("only on {new}, not compared", "only on {new}, not compared"),
}
_NAMED = 3
_NAME = 120
_LEAD = 700


def lead(cells: Sequence[CellResult]) -> str | None:
    """Say what an upgrade to the newest release means on the hardware of a run.

    Returns:
        A clause without a capital or a full stop; None unless cells of two releases can be
        compared.
    """
    groups: dict[tuple[StepVerdict, str, str, bool], list[Upgrade]] = {}
    for upgrade in to_newest(cells):
        source = _short(upgrade.old.label) if upgrade.old else ""
        key = (upgrade.verdict, source, _short(upgrade.new.label), upgrade.compared)
        groups.setdefault(key, []).append(upgrade)
    clauses = [_clause(*key, members) for key, members in groups.items()]
    if len(clauses) > _NAMED:
        clauses[_NAMED:] = [f"{len(clauses) - _NAMED} more in the section on releases"]
    return one_line("; ".join(clauses), _LEAD) or None


def since(history: History) -> str:
    """Say in one line where a family was red and since when it is what it is.

    `red in 2025.3.14, passes since 2025.6.8`
    """
    spans = [
        (state, [_short(release.label) for release, _ in members])
        for state, members in groupby(history.cells, key=lambda entry: _state(entry[1]))
    ]
    if len(spans) == 1:
        state, releases = spans[0]
        return f"{state} in {_ends(releases, ' and ', 'every release from ')}"
    phrases = [f"{state} {_when(releases)}" for state, releases in spans[:-1]]
    state, releases = spans[-1]
    settled = state in ("red", "passes") and {said for said, _ in spans[:-1]} != {"not run"}
    phrases.append(f"{state} since {releases[0]}" if settled else f"{state} {_when(releases)}")
    return ", ".join(phrases)


def passes_everywhere(history: History) -> bool:
    """Whether a family passes on every release from the first one that has it."""
    states = [_state(cell) for _, cell in history.cells]
    ran = dropwhile(lambda state: state == "not run", states)
    return all(state == "passes" for state in ran)


def reason(step: Step) -> str:
    """Return what a step does to its cells, the worst first, those that matter by name."""
    parts = []
    for verdict in StepVerdict:
        pairs = [pair for pair in step.pairs if pair.verdict is verdict]
        if not pairs:
            continue
        means = _MEANS[verdict][len(pairs) > 1].format(new=_short(step.new.label))
        named = _told(verdict, pairs)
        names = [_named(pair, step) for pair in named[:_NAMED]]
        if len(named) > _NAMED:
            names.append(f"{len(named) - _NAMED} more")
        said = f" ({', '.join(names)})" if names else ""
        parts.append(f"{count(len(pairs), 'cell')} {means}{said}")
    return "; ".join(parts)


def losses(pair: Pair) -> str:
    """Return how eval_loss moved beyond its limits in a pair of passing cells; empty if not."""
    return " and ".join(shift.words for shift in pair.shifts)


def gap(pair: Pair, step: Step) -> str:
    """Say which side of a pair has no answer, and why: `TIMEOUT on 2026.10.9`."""
    found = []
    for cell, release in ((pair.old, step.old), (pair.new, step.new)):
        if cell is None:
            found.append(f"not run on {_short(release.label)}")
        elif not cell.outcome.is_red and cell.outcome is not Outcome.PASS:
            found.append(f"{cell.outcome} on {_short(release.label)}")
    return ", ".join(found)


def _clause(
    verdict: StepVerdict, source: str, target: str, compared: bool, upgrades: Sequence[Upgrade]
) -> str:
    machines = ", ".join(_short(upgrade.machine) for upgrade in upgrades[:_NAMED])
    if len(upgrades) > _NAMED:
        machines += f" and {len(upgrades) - _NAMED} more"
    if not compared:
        return f"nothing to compare {target} with on {machines}"
    move = f"to upgrade from {source} to {target} on {machines}"
    families = [history for upgrade in upgrades for history in upgrade.histories]
    why = losses(upgrades[0].pairs[0]) if verdict is StepVerdict.NOT_SAFE else ""
    if why:
        why += f", since {_first_after(upgrades[0])}"
    told = f"{_short(families[0].family.name)}: {why or since(families[0])}"
    if len(families) > 1:
        told += f"; and {count(len(families) - 1, 'more cell')}"
    match verdict:
        case StepVerdict.SAFE:
            return f"safe {move}"
        case StepVerdict.FIXED:
            return f"safe {move} (fixed there: {told})"
        case StepVerdict.NOT_SAFE:
            return f"not safe {move} ({told})"
        case StepVerdict.STILL_RED:
            return f"nothing won by an upgrade from {source} to {target} on {machines} ({told})"
        case StepVerdict.NO_ANSWER | StepVerdict.NOT_COMPARED:
            return f"no answer on an upgrade to {target} on {machines} ({told})"


def _first_after(upgrade: Upgrade) -> str:
    """Return the first release after the last sound one on which the first family ran."""
    ran = [release for release, cell in upgrade.histories[0].cells if cell]
    later = [release for release in ran if upgrade.old and release.order > upgrade.old.order]
    return _short((later or [upgrade.new])[0].label)


def _told(verdict: StepVerdict, pairs: Sequence[Pair]) -> Sequence[Pair]:
    """Return the pairs that are named: all, but of those that pass the ones with another loss."""
    if verdict in (StepVerdict.SAFE, StepVerdict.NOT_COMPARED):
        return [pair for pair in pairs if pair.shifts]
    return pairs


def _named(pair: Pair, step: Step) -> str:
    more = losses(pair) or (gap(pair, step) if pair.verdict is StepVerdict.NO_ANSWER else "")
    name = _short(pair.family.name)
    return f"{name}: {more}" if more else name


def _state(cell: CellResult | None) -> str:
    if cell is None:
        return "not run"
    if cell.outcome.is_red:
        return "red"
    return "passes" if cell.outcome is Outcome.PASS else "no answer"


def _when(releases: Sequence[str]) -> str:
    return f"in {releases[0]}" if len(releases) == 1 else _ends(releases, " and ", "from ", "in ")


def _ends(releases: Sequence[str], both: str, many: str, few: str = "") -> str:
    if len(releases) < 3:
        return few + both.join(releases)
    return f"{many}{releases[0]} to {releases[-1]}"


def _short(text: str) -> str:
    return one_line(text, _NAME)
