"""Upgrades: a verdict for each step from one Unsloth release to the next in a run.

A verdict is computed from the verdicts of the checks, and where both sides pass from eval_loss
(`harness.loss_shift`), the one figure that must not depend on the release:

| old release | new release | the cell's step |
|---|---|---|
| passes | passes | SAFE |
| passes | passes, but the last eval_loss rose or the one before training moved | NOT SAFE |
| red | passes | FIXED |
| passes | red | NOT SAFE |
| red | red | NOT SAFE if a check that passed is red now, else STILL RED |
| no answer | any | NO ANSWER |
| any | no answer or not run | NO ANSWER |
| not run | any | NOT COMPARED |

A step takes the worst of its compared cells, in the order of `StepVerdict`; NO ANSWER without any.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from itertools import pairwise

from harness.cell_result import CellResult
from harness.loss_shift import LossShift, shifts
from harness.releases import Family, Release, histories
from harness.verdict import Outcome


class StepVerdict(StrEnum):
    """What a step does to a cell, or to all cells of a step; the worst first."""

    NOT_SAFE = "NOT SAFE"
    """A regression: the new release breaks what the old one passed, or moves its eval_loss."""
    NO_ANSWER = "NO ANSWER"
    """The new side got lost or a side could not be measured, so a regression may hide here."""
    STILL_RED = "STILL RED"
    """Red on both sides, and no check that passed has turned red: not the step's doing."""
    FIXED = "FIXED"
    SAFE = "SAFE"
    NOT_COMPARED = "NOT COMPARED"
    """Of one cell only: it ran on the new release alone, as one on new hardware does."""


@dataclass(frozen=True)
class Pair:
    """One family on both sides of a step; None where it was not run."""

    family: Family
    old: CellResult | None
    new: CellResult | None

    @cached_property
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

    @cached_property
    def shifts(self) -> tuple[LossShift, ...]:
        """How eval_loss moved beyond its limits, where both sides pass."""
        return loss_shifts(self.old, self.new)

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
        """The verdict of the worst cell that is compared."""
        return worst(pair.verdict for pair in self.pairs)


def judge(old: CellResult | None, new: CellResult | None) -> StepVerdict:
    """Say what a step does to one cell; the rule is the table in this module's docstring."""
    if old is None and new is not None:
        return StepVerdict.NOT_COMPARED
    if old is None or new is None or not (_answers(old.outcome) and _answers(new.outcome)):
        return StepVerdict.NO_ANSWER
    if not new.outcome.is_red:
        if old.outcome.is_red:
            return StepVerdict.FIXED
        moved = any(shift.is_regression for shift in loss_shifts(old, new))
        return StepVerdict.NOT_SAFE if moved else StepVerdict.SAFE
    if old.outcome is Outcome.PASS or regressed(old, new):
        return StepVerdict.NOT_SAFE
    return StepVerdict.STILL_RED


def worst(verdicts: Iterable[StepVerdict]) -> StepVerdict:
    """Return the worst verdict of what is compared; NO ANSWER when nothing is."""
    order = list(StepVerdict)
    compared = (verdict for verdict in verdicts if verdict is not StepVerdict.NOT_COMPARED)
    return min(compared, key=order.index, default=StepVerdict.NO_ANSWER)


def loss_shifts(old: CellResult | None, new: CellResult | None) -> tuple[LossShift, ...]:
    """Return how eval_loss moved beyond its limits; nothing where a side does not pass.

    A red cell's figures are those of a broken run: no later release is held to them.
    """
    passing = [cell.record for cell in (old, new) if cell and cell.outcome is Outcome.PASS]
    return shifts(*passing) if len(passing) == 2 else ()


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


def _answers(outcome: Outcome) -> bool:
    return outcome.is_red or outcome is Outcome.PASS
