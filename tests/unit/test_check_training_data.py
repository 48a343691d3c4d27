from typing import Any

import pytest

from harness.checks import Context
from harness.checks.training_data import judge
from harness.record import Record
from harness.verdict import Outcome
from tests.unit.records import make_record, rows


def training(**changes: Any) -> Record:
    return make_record(rows={"train": rows(40, 3, **changes)})


def test_the_recipes_rows_pass() -> None:
    verdict = judge(make_record(), Context())

    assert verdict.outcome is Outcome.PASS
    assert "the longest of 98 tokens" in verdict.message


@pytest.mark.parametrize(
    ("changes", "says", "cause"),
    [
        ({"bos_min": 2, "bos_max": 2}, "2 BOS tokens instead of 1", "Z#959"),
        ({"bos_min": 0}, "0 to 1 BOS tokens", "neither does"),
        ({"longest": 129}, "129 tokens, the recipe allows 128", "U#8374"),
        ({"unknown": 3}, "3 different rows are none of the recipe's", "cut, joined or rendered"),
        ({"missing": 2}, "2 of 40 texts never came past", "left out"),
        ({"rows": 116}, "116 rows came past, 40 texts 3 times", "repeat or are left out"),
        ({"rows": 0}, "no row reached the model", "empty"),
        ({"masked": 40}, "40 tokens are masked, the recipe masks none: 0", "another part"),
        ({"masked_expected": 40}, "0 tokens are masked, the recipe masks none: 40", "another part"),
        ({"supervised": 0}, "no token is supervised", "U#2117"),
        ({"wrong_labels": 7}, "7 labels are not their own token", "shifted"),
    ],
)
def test_other_rows_fail(changes: dict[str, Any], says: str, cause: str) -> None:
    verdict = judge(training(**changes), Context())

    assert verdict.outcome is Outcome.FAIL
    assert f"training: {'a row has ' if 'BOS' in says else ''}" in verdict.message
    assert says in verdict.message
    assert any(cause in one for one in verdict.diagnosis)


def test_training_rows_in_evaluation_fail() -> None:
    mixed = rows(16, 4, unknown=40, of_other_split=40, missing=16)
    verdict = judge(make_record(rows={"evaluation": mixed}), Context())

    assert verdict.outcome is Outcome.FAIL
    assert "evaluation: 40 different rows are those of training" in verdict.message
    assert "the split went wrong" in verdict.diagnosis[0]


def test_rows_without_a_label_may_be_left_out() -> None:
    assert judge(training(unsupervised_texts=4, rows=108), Context()).outcome is Outcome.PASS
    assert judge(training(unsupervised_texts=4, rows=120), Context()).outcome is Outcome.PASS
    assert judge(training(unsupervised_texts=4, rows=117), Context()).outcome is Outcome.FAIL


def test_an_old_record_is_skipped() -> None:
    old = Record.model_validate({**make_record().model_dump(), "rows": {}})

    assert judge(old, Context()).outcome is Outcome.SKIPPED
