import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.corpus import LATIN_ITALIAN, Pair, normalised, read_pairs, split_pairs
from harness.errors import InputError
from harness.recipe import Recipe

PAIRS = read_pairs(LATIN_ITALIAN)


def test_corpus_has_200_distinct_phrases() -> None:
    assert len({normalised(pair.source) for pair in PAIRS}) >= 200


@given(st.integers(1, 60), st.integers(1, 200), st.randoms())
def test_no_evaluation_phrase_occurs_in_training(
    eval_rows: int, train_rows: int, order: random.Random
) -> None:
    recipe = Recipe(name="r", eval_rows=eval_rows, train_rows=train_rows)
    doubled = [*PAIRS, *(Pair(pair.source.upper(), pair.target) for pair in PAIRS[:50])]
    order.shuffle(doubled)
    split = split_pairs(doubled, recipe)
    evaluation = {normalised(pair.source) for pair in split.evaluation}
    assert len(split.evaluation) == eval_rows
    assert evaluation.isdisjoint(normalised(pair.source) for pair in split.train)


@given(st.integers(1, 8), st.integers(1, 30), st.integers(2, 600))
def test_long_rows_join_phrases_of_their_own_side(
    eval_rows: int, train_rows: int, pairs_per_row: int
) -> None:
    recipe = Recipe(
        name="r", eval_rows=eval_rows, train_rows=train_rows, pairs_per_row=pairs_per_row
    )
    split = split_pairs(PAIRS, recipe)
    assert (len(split.train), len(split.evaluation)) == (train_rows, eval_rows)
    sides = [
        [phrase for pair in side for phrase in pair.source.split("\n")]
        for side in (split.train, split.evaluation)
    ]
    assert [len(side) for side in sides] == [train_rows * pairs_per_row, eval_rows * pairs_per_row]
    assert {*map(normalised, sides[0])}.isdisjoint(map(normalised, sides[1]))


def test_too_little_data_is_an_error() -> None:
    with pytest.raises(InputError, match="needs 16 evaluation and 40 training"):
        split_pairs(PAIRS[:20], Recipe(name="r"))
