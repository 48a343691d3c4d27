"""The upgrade to the newest Unsloth release of a run, for each hardware, and what turns a run red."""

from collections.abc import Sequence
from dataclasses import dataclass

from harness.cell_result import CellResult
from harness.loss_shift import When
from harness.releases import Family, History, Release, histories
from harness.upgrades import Pair, Step, StepVerdict, judge, loss_shifts, steps, worst


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

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """The families that have the verdict, on both releases."""
        cells = [(history.family, dict(history.cells)) for history in self.histories]
        return tuple(
            Pair(family, side.get(self.old) if self.old else None, side.get(self.new))
            for family, side in cells
        )


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


def loss_regressions(cells: Sequence[CellResult]) -> list[Step]:
    """Return the steps that are not safe by the eval_loss of passing cells, with those cells only.

    Both the steps between neighbours and the upgrades to the newest release count, so that neither
    slow drift nor an unanswered release in between hides a shift.
    """
    told = [(step.old, step.new, step.pairs) for step in steps(cells)]
    told += [(up.old, up.new, up.pairs) for up in to_newest(cells) if up.old]
    found: dict[tuple[Release, Release], dict[Family, Pair]] = {}
    for old, new, pairs in told:
        for pair in pairs:
            if any(shift.is_regression for shift in pair.shifts):
                found.setdefault((old, new), {})[pair.family] = pair
    return [Step(old, new, tuple(pairs.values())) for (old, new), pairs in found.items()]


def _upgrade(machine: str, members: Sequence[History]) -> Upgrade:
    ran = [r for h in members for r, cell in h.cells if cell]
    newest = max(ran, key=lambda release: release.order)
    # What only the newest release has is not compared, unless there is nothing else to name.
    earlier = [h for h in members if any(cell and r != newest for r, cell in h.cells)]
    told = []
    for history in earlier or members:
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
        and (verdict := judge(old, new)) not in (StepVerdict.NO_ANSWER, StepVerdict.NOT_COMPARED)
    ]
    # Where a still older release agrees with the newest, the one in between was the odd one: its
    # eval_loss is no measure for what came back.
    agreeing = [release for release, said in judged if said is StepVerdict.SAFE]
    judged = [
        (release, said)
        for release, said in judged
        if not (agreeing and agreeing[0].order < release.order)
        or not _evaluates_otherwise(dict(history.cells)[release], new)
    ]
    verdict = worst(said for _, said in judged)
    sources = [release for release, said in judged if said is verdict]
    if verdict is StepVerdict.NOT_SAFE:
        return verdict, sources[-1]
    return verdict, judged[0][0] if judged else None


def _evaluates_otherwise(old: CellResult | None, new: CellResult | None) -> bool:
    return any(shift.when is When.UNTRAINED for shift in loss_shifts(old, new))
