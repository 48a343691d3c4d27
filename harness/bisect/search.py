"""The search itself: where to look next in an ordered history, and what the answers so far leave.

Pure: answers by position in, a position out. Position 0 and the last are the two ends, whose answers differ.
Every search can be stopped and taken up again, and what either answer would ask for next is known before
the answer is.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum


class Answer(StrEnum):
    """What a release, or a mixture of two, says to the question."""

    GOOD = "GOOD"
    BAD = "BAD"
    SKIP = "SKIP"
    """It says nothing: broken, not measured, or ambiguous."""


@dataclass(frozen=True)
class Span:
    """What is left of a history.

    Attributes:
        before: Last position that is as the first.
        after: First position beyond it that is as the last.
        skipped: Positions between the two that gave no answer: the change came with one of them, or with
            `after`.
    """

    before: int
    after: int
    skipped: tuple[int, ...]

    @property
    def untried(self) -> list[int]:
        """Positions between the two that nothing is known of."""
        return [n for n in range(self.before + 1, self.after) if n not in self.skipped]

    @property
    def is_exact(self) -> bool:
        """Whether one release alone can be what did it."""
        return self.after - self.before == 1


def span(known: Mapping[int, Answer]) -> Span:
    """Return what the answers leave, the ends' among them.

    A history that changes more than once has several places where it does; this is one of them.
    """
    last = max(known)
    after = min(n for n in known if known[n] is known[last])
    before = max(n for n in known if n < after and known[n] is known[0])
    skipped = sorted(n for n in known if before < n < after)
    return Span(before, after, tuple(skipped))


def next_position(known: Mapping[int, Answer]) -> int | None:
    """Return the position to ask, None where nothing is left to ask.

    The middle of what is untried; beside broken releases one further off, as far again as the broken stretch
    is long: releases break in stretches. Without broken ones it is a plain bisection, ceil(log2 n) answers.
    """
    left = span(known)
    untried = left.untried
    if not untried:
        return None
    middle = (len(untried) - 1) / 2
    # Beyond the middle half an answer would tell too little.
    near = [at for at in range(len(untried)) if abs(at - middle) <= len(untried) / 4 + 0.5]
    near.sort(key=lambda at: abs(at - middle))
    stretches = _broken_stretches(left.skipped)
    clear = (untried[at] for at in near if all(_is_clear(untried[at], s) for s in stretches))
    return next(clear, untried[near[0]])


def likely_next(known: Mapping[int, Answer]) -> list[int]:
    """Return the positions that would be asked after the next, by its answer: good or bad."""
    position = next_position(known)
    if position is None:
        return []
    ends = known[0], known[max(known)]
    following = (next_position({**known, position: answer}) for answer in ends)
    return list(dict.fromkeys(n for n in following if n is not None))


def _broken_stretches(skipped: Iterable[int]) -> list[tuple[int, int]]:
    """Return first and last of each stretch; what lies between two close ones is taken to be broken, too."""
    stretches: list[tuple[int, int]] = []
    for n in skipped:
        if stretches and n - stretches[-1][1] <= 2 * (stretches[-1][1] - stretches[-1][0] + 1):
            stretches[-1] = (stretches[-1][0], n)
        else:
            stretches.append((n, n))
    return stretches


def _is_clear(position: int, stretch: tuple[int, int]) -> bool:
    first, last = stretch
    length = last - first + 1
    return not first - length <= position <= last + length
