import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.bisect.search import Answer, Span, likely_next, next_position, span

GOOD, BAD, SKIP = Answer.GOOD, Answer.BAD, Answer.SKIP


@st.composite
def histories(draw: st.DrawFn, *, broken: bool = True) -> tuple[list[Answer], int]:
    """A history that changes once, ends that answer, and where it changes."""
    length = draw(st.integers(2, 200))
    first = draw(st.integers(1, length - 1))
    flipped = draw(st.booleans())
    sides = (BAD, GOOD) if flipped else (GOOD, BAD)
    answers = [sides[n >= first] for n in range(length)]
    for start, run in draw(st.lists(st.tuples(st.integers(1, 199), st.integers(1, 20)))) * broken:
        for n in range(start, min(start + run, length - 1)):
            answers[n] = SKIP
    return answers, first


def searched(answers: list[Answer]) -> tuple[Span, list[Answer]]:
    known = {0: answers[0], len(answers) - 1: answers[-1]}
    asked = []
    while (position := next_position(known)) is not None:
        assert position not in known
        known[position] = answers[position]
        asked.append(answers[position])
    return span(known), asked


@given(histories(broken=False))
def test_the_change_is_found_in_log2_n_answers(history: tuple[list[Answer], int]) -> None:
    answers, first = history
    found, asked = searched(answers)
    assert (found.before, found.after) == (first - 1, first)
    assert found.is_exact
    assert len(asked) <= math.ceil(math.log2(len(answers) - 1)) if len(answers) > 2 else not asked


@given(histories())
def test_a_single_culprit_is_never_claimed_where_broken_ones_lie_between(
    history: tuple[list[Answer], int],
) -> None:
    answers, first = history
    found, _ = searched(answers)
    assert found.before < first <= found.after
    assert not found.untried
    between = answers[found.before + 1 : found.after]
    assert between == [SKIP] * len(between)
    # The range is the smallest that the answers allow, so it is exact where it can be.
    assert answers[found.before] is answers[0]
    assert answers[found.after] is answers[-1]
    assert found.is_exact == (not between)


@given(histories())
def test_broken_releases_cost_little_more_than_themselves(
    history: tuple[list[Answer], int],
) -> None:
    answers, _ = history
    _, asked = searched(answers)
    skips = asked.count(SKIP)
    assert len(asked) <= math.ceil(math.log2(len(answers))) + 2 * skips


@given(histories())
def test_what_comes_next_is_known_before_the_answer(history: tuple[list[Answer], int]) -> None:
    answers, _ = history
    known = {0: answers[0], len(answers) - 1: answers[-1]}
    while (position := next_position(known)) is not None:
        following = likely_next(known)
        known[position] = answers[position]
        if answers[position] is not SKIP and (then := next_position(known)) is not None:
            assert then in following


def test_a_long_broken_run_is_left_in_strides() -> None:
    answers = [GOOD] * 40 + [SKIP] * 20 + [GOOD] * 20 + [BAD] * 20
    found, asked = searched(answers)
    assert found.after == 80
    assert asked.count(SKIP) <= 6


def test_a_search_goes_on_from_any_answers() -> None:
    assert span({0: GOOD, 9: BAD, 4: GOOD, 5: SKIP, 6: BAD}) == Span(4, 6, (5,))
    assert next_position({0: GOOD, 9: BAD, 4: GOOD, 5: SKIP, 6: BAD}) is None


@pytest.mark.parametrize("known", [{0: GOOD, 1: BAD}, {0: BAD, 1: GOOD}])
def test_neighbours_need_no_answer(known: dict[int, Answer]) -> None:
    assert next_position(known) is None
    assert likely_next(known) == []
    assert span(known).is_exact
