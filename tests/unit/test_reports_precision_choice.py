from typing import Any

import pytest

from harness.record import Precision, Record
from harness.reports.html import render
from harness.reports.precision_choice import chosen_by, policy_entries
from harness.verdict import Outcome, Verdict
from tests.unit.gate_results import cell, ended, gate
from tests.unit.records import make_record

F16 = {"weights": {"float16": 43, "float32": 37}}
BF16 = {"weights": {"bfloat16": 80}, "args_bf16": True}


def asked(dtype: str, requested: dict[str, Any], **precision: Any) -> Record:
    told = {"optim": "adamw_torch", **requested}
    return make_record(dtype_request=dtype, executed={"requested": told}, precision=precision)


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (asked("float32", {"bf16": False, "fp16": False}), "the request"),
        (asked("bfloat16", {"bf16": True}, **BF16), "the request"),
        (asked("auto", {}, **BF16), "Unsloth: left to it; args.bf16 on, unasked"),
        (asked("float16", {}, **BF16), "Unsloth, not the request; args.bf16 on, unasked"),
        (asked("auto", {}, **F16, force_float32="1"), "Unsloth: FORCE_FLOAT32=1"),
        (
            asked("float16", {"fp16": True}, **F16, force_float32="1", args_fp16=False),
            "Unsloth: FORCE_FLOAT32=1; args.fp16 off, although on was asked",
        ),
        (asked("float32", {"bf16": False}, args_bf16=True), "the request; args.bf16 on, although off was asked"),
        (asked("float32-default-args", {}, args_bf16=True, autocast="bfloat16"), "args.bf16 on, unasked"),
        (asked("nf4", {}, weights={"uint8": 42}, args_bf16=False), "—"),
    ],
)  # fmt: skip
def test_what_chose_the_dtype_is_said_from_the_record(record: Record, said: str) -> None:
    assert chosen_by(record) == said


def test_a_mode_that_is_off_chose_nothing() -> None:
    assert chosen_by(asked("auto", {}, **BF16, force_float32="0")).startswith("Unsloth: left to it")


def test_the_reference_is_not_called_unsloth() -> None:
    record = asked("auto", {"bf16": True}, **BF16)
    of = record.model_copy(
        update={"stack": record.stack.model_copy(update={"family": "reference"})}
    )
    assert chosen_by(of) == "the reference: left to it"


def test_a_record_that_does_not_say_is_not_guessed_at() -> None:
    # Older records have no list of the arguments that were asked for.
    old = make_record(dtype_request="bfloat16", executed={"requested": {}}, precision=BF16)
    assert chosen_by(old) == "the request"
    lost = ended("CRASHED", "RuntimeError").record
    assert lost.precision == Precision()
    assert chosen_by(lost) == "—"


@pytest.mark.parametrize(
    ("outcome", "evidence", "said"),
    [
        (Outcome.PASS, {}, ""),
        (Outcome.FAIL, {"broken_rules": ["dtypes", "force-float32"]}, "breaks dtypes; breaks force-float32"),
        (Outcome.PASS, {"known_deviation": "cpu-x"}, "documented deviation cpu-x"),
        (Outcome.FAIL, {"known_deviation": "cpu-x"}, "documented deviation cpu-x, which is gone"),
        (Outcome.FAIL, {"broken_rules": 7}, ""),
    ],
)  # fmt: skip
def test_entries_of_the_policy_are_named(
    outcome: Outcome, evidence: dict[str, Any], said: str
) -> None:
    told = {"cell_id": "x", "outcome": outcome, "message": "m", "evidence": evidence}
    assert policy_entries([Verdict(check="precision", **told)]) == said
    assert policy_entries([Verdict(check="throughput", **told)]) == ""


def test_the_page_shows_both_escaped() -> None:
    record = asked("float16", {"fp16": True}, **F16, force_float32="1", args_fp16=False)
    judged = cell(record, Outcome.FAIL)
    broken = [
        one.model_copy(update={"evidence": {"broken_rules": ["<b>rule"]}})
        if one.check == "precision"
        else one
        for one in judged.verdicts
    ]
    text = render(gate(judged.model_copy(update={"verdicts": broken})))
    table = text.partition('id="precision"')[2].partition("</section>")[0]
    assert "<small>Unsloth: FORCE_FLOAT32=1; args.fp16 off, although on was asked</small>" in table
    assert "<small>breaks &lt;b&gt;rule</small>" in table
