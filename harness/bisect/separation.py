"""Which of the packages between two neighbouring releases did it: groups moved alone, and left out.

Pure: it is given what a mixture answers. A group is sufficient where moving it alone changes the answer,
necessary where moving all but it does not. Where none is sufficient, groups are taken back as long as the
answer stays changed (delta debugging to one minimal set; A. Zeller and R. Hildebrandt, 2002).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from harness.bisect.search import Answer

Ask = Callable[[Sequence[frozenset[str]]], Sequence[Answer]]
"""Answers of mixtures, each named by the groups that are moved."""


@dataclass(frozen=True)
class Separation:
    """What moving groups came to.

    Attributes:
        groups: All that differ, by name.
        sufficient: Groups that change the answer alone.
        necessary: Groups without which the others do not change it.
        not_needed: Groups without which the others change it, too.
        together: A smallest set found that changes it; empty where one alone does.
        unknown: Mixtures without an answer.
    """

    groups: tuple[str, ...]
    sufficient: tuple[str, ...] = ()
    necessary: tuple[str, ...] = ()
    not_needed: tuple[str, ...] = ()
    together: tuple[str, ...] = ()
    unknown: tuple[frozenset[str], ...] = field(default=())

    @property
    def is_answered(self) -> bool:
        """Whether less than everything between the two releases was found to do it."""
        return bool(self.sufficient) or 0 < len(self.together) < len(self.groups)


def separate(names: Sequence[str], unmoved: Answer, moved: Answer, ask: Ask) -> Separation:
    """Move groups one at a time, then all but those that were enough, then as many as it takes.

    Args:
        names: Of the groups in which the two releases differ.
        unmoved: Answer of the release before.
        moved: Of the release after: all groups moved.
        ask: Runs mixtures; each is asked once.
    """
    everything = frozenset(names)
    known: dict[frozenset[str], Answer] = {frozenset(): unmoved, everything: moved}

    def answers(*wanted: frozenset[str]) -> list[Answer]:
        new = [mixture for mixture in dict.fromkeys(wanted) if mixture not in known]
        known.update(zip(new, ask(new), strict=True) if new else ())
        return [known[mixture] for mixture in wanted]

    alone = answers(*(frozenset({name}) for name in names))
    sufficient = tuple(n for n, answer in zip(names, alone, strict=True) if answer is moved)
    # Beside one that is enough no other is needed.
    candidates = sufficient or tuple(names)
    without = dict(zip(candidates, answers(*(everything - {n} for n in candidates)), strict=True))
    together = frozenset[str]() if sufficient else everything
    for name in sorted(together, key=names.index):
        smaller = together - {name}
        if answers(smaller) == [moved]:
            together = smaller
    return Separation(
        tuple(names),
        sufficient,
        tuple(n for n, answer in without.items() if answer is unmoved),
        tuple(n for n, answer in without.items() if answer is moved),
        tuple(sorted(together, key=names.index)),
        tuple(mixture for mixture, answer in known.items() if answer is Answer.SKIP),
    )
