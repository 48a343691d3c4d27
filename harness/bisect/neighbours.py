"""Separate the packages of two neighbouring releases: the mixtures, built and asked for real."""

from collections.abc import Sequence

from harness.bisect.bisection import Packages
from harness.bisect.mixtures import Group, groups, mixed, names
from harness.bisect.prefetch import Prefetch
from harness.bisect.probe import Probe
from harness.bisect.prober import Prober
from harness.bisect.search import Answer
from harness.bisect.separation import Separation, separate
from harness.stacks import environments, kept_locks
from harness.stacks.kept_locks import KeptLock
from harness.stacks.stack import untouched_lock, versions_of


def separate_packages(prober: Prober, before: Probe, after: Probe, prefetch: Prefetch) -> Packages:
    """Move the packages in which two releases differ, one group at a time.

    Args:
        prober: Asks the question.
        before: The last release that is as the first end.
        after: The first that is as the other.
        prefetch: Builds mixtures while others run.
    """
    bad = before if before.answer is Answer.BAD else after
    prober.criterion = prober.criterion.like(prober.cell_of(bad))
    stacks = [prober.run_of(probe.stack).experiment.stack for probe in (before, after)]
    old, new = (untouched_lock(probe.stack) for probe in (before, after))
    # Departures apply to either lock: what they level is the same on both sides here.
    left = {package for group in groups(*(s.lock for s in stacks)) for package in group.moves}
    differ = groups(old, new)
    movable = {g.name: g.only(left) for g in differ if g.only(left).moves}
    levelled = [
        f"{rest}: not the cause here, where departures leave the same on both sides"
        for g in differ
        if (rest := g.only(g.moves.keys() - left)).moves
    ]
    moves = {group.label: str(group) for group in movable.values()}
    if len(movable) < 2:
        only = (
            f"{', '.join(moves.values())}, the only difference" if moves else "no package differs"
        )
        return Packages(moves=moves, levelled=levelled, sentence=only, is_answered=bool(moves))
    probes: list[Probe] = []

    def ask(wanted: Sequence[frozenset[str]]) -> list[Answer]:
        asked: dict[str, str] = {}
        for mixture in wanted:
            moved = [group for name, group in movable.items() if name in mixture]
            asked[_what(moved, movable)] = _keep(old, new, moved, before, after, stacks[0].python)
        prefetch.start(
            list(asked.values()),
            lambda stack: environments.ensure(prober.run_of(stack).experiment.stack),
        )
        found = prober.mixtures(asked)
        probes.extend(found)
        return [probe.answer for probe in found]

    separation = separate(list(movable), before.answer, after.answer, ask)
    return Packages(
        moves=moves,
        levelled=levelled,
        probes=probes,
        sentence=sentence(separation, movable),
        is_answered=separation.is_answered,
    )


def sentence(found: Separation, movable: dict[str, Group]) -> str:
    """Say what a separation came to: `trl 1.6.0 -> 1.7.0, alone sufficient and necessary`."""
    number = len(found.unknown)
    unknown = f"; {number} mixture{'s' * (number > 1)} gave no answer" if number else ""
    if found.sufficient:
        said = []
        for name in found.sufficient:
            more = " and necessary" if name in found.necessary else ""
            more = ", not necessary" if name in found.not_needed else more
            said.append(f"{movable[name]}, alone sufficient{more}")
        return "; ".join(said) + unknown
    moved = " with ".join(str(movable[name]) for name in found.together)
    if len(found.together) == len(found.groups):
        return f"not separated: {moved} together change the answer, and nothing less was seen to{unknown}"
    return f"{moved}, together sufficient, none of them seen to be alone{unknown}"


def _what(moved: Sequence[Group], movable: dict[str, Group]) -> str:
    rest = [group for group in movable.values() if group not in moved]
    if len(moved) > 1 and len(rest) == 1:
        return f"all but {names(rest)}"
    return f"{names(moved)} alone" if len(moved) == 1 else f"only {names(moved)}"


def _keep(
    old: str, new: str, moved: Sequence[Group], before: Probe, after: Probe, python: str
) -> str:
    lock = mixed(old, new, moved)
    said = f"{before.what} with {names(moved)} of {after.what}"
    version = versions_of(lock)["unsloth"]
    return kept_locks.keep(KeptLock(version=version, python=python, lock=lock, said=(said,)))
