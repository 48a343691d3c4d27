"""Upgrades: a verdict for each step from one Unsloth release to the next in a run.

A verdict is computed from the verdicts of the checks, never from a figure:

| old release | new release | the cell's step |
|---|---|---|
| passes | passes | SAFE |
| red | passes | FIXED |
| passes | red | NOT SAFE |
| red | red | NOT SAFE if a check that passed is red now, else STILL RED |
| no answer or not run, on either side | | NO ANSWER |

A step takes the worst of its cells, in the order of `StepVerdict`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import pairwise

from harness.gate import CellResult
from harness.releases import Family, History, Release, histories
from harness.verdict import Outcome


class StepVerdict(StrEnum):
    """What a step does to a cell, or to all cells of a step; the worst first."""

    NOT_SAFE = "NOT SAFE"
    """A regression: the new release breaks what the old one passed."""
    NO_ANSWER = "NO ANSWER"
    """One side was not run or could not be measured, so a regression may hide here."""
    STILL_RED = "STILL RED"
    """Red on both sides, and no check that passed has turned red: not the step's doing."""
    FIXED = "FIXED"
    SAFE = "SAFE"


@dataclass(frozen=True)
class Pair:
    """One family on both sides of a step; None where it was not run."""

    family: Family
    old: CellResult | None
    new: CellResult | None

    @property
    def verdict(self) -> StepVerdict:
        """What the step does to this cell."""
        return judge(self.old, self.new)

    @property
    def sides(self) -> tuple[CellResult, ...]:
        """The cells that were run, the old one first."""
        return tuple(cell for cell in (self.old, self.new) if cell)

    @property
    def regressed(self) -> list[str]:
        """Checks that pass on the old release and are red on the new one."""
        return regressed(self.old, self.new) if self.old and self.new else []

    @property
    def unanswered(self) -> list[str]:
        """Checks that answered on the old release and not on the new one, where both answered."""
        if not (self.old and self.new) or self.verdict is StepVerdict.NO_ANSWER:
            return []
        now = {v.check for v in self.new.verdicts if _answers(v.outcome)}
        before = [v.check for v in self.old.verdicts if _answers(v.outcome)]
        return [check for check in dict.fromkeys(before) if check not in now]


@dataclass(frozen=True)
class Step:
    """From one release to another, with every family that ran on either."""

    old: Release
    new: Release
    pairs: tuple[Pair, ...]

    @property
    def verdict(self) -> StepVerdict:
        """The verdict of the worst cell."""
        return worst(pair.verdict for pair in self.pairs)


@dataclass(frozen=True)
class Upgrade:
    """What it means to move one kind of hardware to the newest release of a run."""

    machine: str
    verdict: StepVerdict
    old: Release | None
    """The release to come from: for a regression the last that was sound, else the first that
    answered; None where no earlier release did."""
    new: Release
    histories: tuple[History, ...]
    """The families that have the verdict."""
    compared: bool
    """Whether any family of the hardware ran on two releases."""


def judge(old: CellResult | None, new: CellResult | None) -> StepVerdict:
    """Say what a step does to one cell; the rule is the table in this module's docstring."""
    if old is None or new is None or not (_answers(old.outcome) and _answers(new.outcome)):
        return StepVerdict.NO_ANSWER
    if not new.outcome.is_red:
        return StepVerdict.FIXED if old.outcome.is_red else StepVerdict.SAFE
    if old.outcome is Outcome.PASS or regressed(old, new):
        return StepVerdict.NOT_SAFE
    return StepVerdict.STILL_RED


def worst(verdicts: Iterable[StepVerdict]) -> StepVerdict:
    """Return the worst verdict; NO ANSWER when there is none at all."""
    order = list(StepVerdict)
    return min(verdicts, key=order.index, default=StepVerdict.NO_ANSWER)


def regressed(old: CellResult, new: CellResult) -> list[str]:
    """Return the checks that pass on the old side and are red on the new one, each once."""
    passed = {v.check for v in old.verdicts if v.outcome is Outcome.PASS}
    passed -= {v.check for v in old.verdicts if v.outcome.is_red}
    return list(
        dict.fromkeys(v.check for v in new.verdicts if v.outcome.is_red and v.check in passed)
    )


def steps(cells: Sequence[CellResult]) -> list[Step]:
    """Return a step for each two neighbouring releases of a run, oldest first.

    Returns:
        Empty unless some family ran on two releases: there is nothing to compare then.
    """
    found = histories(cells)
    releases = [release for release, _ in found[0].cells] if found else []
    return [
        Step(
            old,
            new,
            tuple(
                Pair(history.family, before, after)
                for history in found
                for (_, before), (_, after) in [history.cells[place : place + 2]]
                if before or after
            ),
        )
        for place, (old, new) in enumerate(pairwise(releases))
    ]


def to_newest(cells: Sequence[CellResult]) -> list[Upgrade]:
    """Say for each hardware of a run what an upgrade to its newest release means, worst first.

    Hardware on which nothing ran on two releases comes last.
    A family is judged against every earlier release that answered and takes the worst: what any of
    them passed and the newest does not is a regression, whatever lies between.
    """
    machines: dict[str, list[History]] = {}
    for history in histories(cells):
        machines.setdefault(history.family.machine, []).append(history)
    found = [_upgrade(machine, members) for machine, members in machines.items()]
    order = list(StepVerdict)
    return sorted(found, key=lambda up: (not up.compared, order.index(up.verdict)))


def _upgrade(machine: str, members: Sequence[History]) -> Upgrade:
    ran = [r for h in members for r, cell in h.cells if cell]
    newest = max(ran, key=lambda release: release.order)
    told = []
    for history in members:
        verdict, source = _against_earlier(history, newest)
        told.append((history, verdict, source))
    verdict = worst(said for _, said, _ in told)
    chosen = [(history, source) for history, said, source in told if said is verdict]
    green = verdict in (StepVerdict.SAFE, StepVerdict.FIXED)
    # A green answer must hold for every family, so it starts where the last of them answered.
    sources = [source for _, _, source in told] if green else [chosen[0][1]]
    return Upgrade(
        machine,
        verdict,
        max((s for s in sources if s), key=lambda release: release.order, default=None),
        newest,
        tuple(history for history, _ in chosen),
        any(sum(cell is not None for _, cell in h.cells) > 1 for h in members),
    )


def _against_earlier(history: History, newest: Release) -> tuple[StepVerdict, Release | None]:
    new = dict(history.cells)[newest]
    judged = [
        (release, verdict)
        for release, old in history.cells
        if release.order < newest.order
        and (verdict := judge(old, new)) is not StepVerdict.NO_ANSWER
    ]
    verdict = worst(said for _, said in judged)
    sources = [release for release, said in judged if said is verdict]
    if verdict is StepVerdict.NOT_SAFE:
        return verdict, sources[-1]
    return verdict, judged[0][0] if judged else None


def _answers(outcome: Outcome) -> bool:
    return outcome.is_red or outcome is Outcome.PASS
