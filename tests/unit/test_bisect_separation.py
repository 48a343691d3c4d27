from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from harness.bisect.search import Answer
from harness.bisect.separation import Separation, separate

GOOD, BAD, SKIP = Answer.GOOD, Answer.BAD, Answer.SKIP
NAMES = ("unsloth", "unsloth-zoo", "transformers", "trl", "peft", "other packages")


class Asked:
    """Mixtures by rule, and how many were asked."""

    def __init__(
        self, culprits: Sequence[frozenset[str]], broken: Sequence[frozenset[str]] = ()
    ) -> None:
        self.culprits, self.broken = culprits, broken
        self.mixtures: list[frozenset[str]] = []

    def __call__(self, mixtures: Sequence[frozenset[str]]) -> list[Answer]:
        self.mixtures += mixtures
        return [self._answer(mixture) for mixture in mixtures]

    def _answer(self, mixture: frozenset[str]) -> Answer:
        if mixture in self.broken:
            return SKIP
        return BAD if any(culprit <= mixture for culprit in self.culprits) else GOOD


def found(*culprits: set[str], broken: Sequence[set[str]] = ()) -> Separation:
    asked = Asked([frozenset(c) for c in culprits], [frozenset(b) for b in broken])
    return separate(NAMES, GOOD, BAD, asked)


def test_one_package_is_sufficient_and_necessary() -> None:
    separation = found({"trl"})
    assert (separation.sufficient, separation.necessary) == (("trl",), ("trl",))
    assert separation.is_answered


def test_of_two_that_are_each_enough_neither_is_necessary() -> None:
    separation = found({"trl"}, {"peft"})
    assert separation.sufficient == ("trl", "peft")
    assert separation.necessary == ()


def test_two_that_do_it_only_together_are_found() -> None:
    separation = found({"unsloth", "transformers"})
    assert separation.sufficient == ()
    assert separation.together == ("unsloth", "transformers")
    assert separation.necessary == ("unsloth", "transformers")


def test_a_mixture_without_an_answer_clears_nobody() -> None:
    everything = set(NAMES)
    separation = found({"trl"}, broken=[{"trl"}, everything - {"peft"}])
    assert separation.sufficient == ()
    assert "trl" in separation.together
    assert frozenset({"trl"}) in separation.unknown


def test_what_nothing_tells_apart_is_not_answered() -> None:
    parts = [{n} for n in NAMES] + [set(NAMES) - {n} for n in NAMES]
    separation = found({"trl"}, broken=parts)
    assert separation.together == NAMES
    assert not separation.is_answered


@given(
    st.sets(st.sampled_from(NAMES), min_size=1),
    st.lists(st.sets(st.sampled_from(NAMES)), max_size=6),
)
def test_nothing_is_asked_twice_and_the_culprit_is_never_left_out(
    culprit: set[str], broken: list[set[str]]
) -> None:
    asked = Asked([frozenset(culprit)], [frozenset(b) for b in broken])
    separation = separate(NAMES, GOOD, BAD, asked)
    assert len(asked.mixtures) == len(set(asked.mixtures)) <= 3 * len(NAMES)
    if separation.sufficient:
        assert set(separation.sufficient) == culprit
    else:
        assert culprit <= set(separation.together)
    assert set(separation.necessary) <= culprit
    assert not set(separation.not_needed) & culprit
