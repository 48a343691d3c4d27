import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.reports.markdown import render
from harness.reports.markdown_text import code, escape
from tests.unit.gate_results import cell, emulated, frozen, gate, hostile, many, mixed


def rows(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("| `")]


def test_the_answer_is_the_first_thing_said() -> None:
    lines = render(gate(cell())).splitlines()

    assert lines[0] == "## ✓ Sound"
    assert lines[2].startswith("1 of 1 cell passes every check")


def test_a_row_has_outcome_losses_precision_speed_and_memory() -> None:
    (row,) = rows(render(gate(cell())))

    assert row == (
        "| `unsloth-2026.10.9/cpu/float32/mild` | ✓ PASS | 6.7400 → 4.2700 | fp32, autocast off "
        "| 1,760 | 905 MiB RSS |"
    )


def test_red_cells_come_first_and_explain_themselves() -> None:
    text = render(mixed())

    assert "CRASHED" in rows(text)[0]
    assert "FAIL" in rows(text)[1]
    assert "- Why: the scaler skipped all 30 steps" in text
    assert "- To do: train in float32" in text
    assert "- Run it again: `harness run unsloth-2025.3.14/t4/float16/hot`" in text


def test_what_could_not_be_measured_is_listed_by_reason() -> None:
    text = render(mixed())

    assert "- … TIMEOUT completed in `reference-2026.10.9/cpu/bfloat16/mild`: time limit" in text
    assert "- ○ UNCALIBRATED throughput in 3 cells: throughput says UNCALIBRATED with 1.25" in text


def test_a_sound_run_has_no_section_on_failures() -> None:
    assert "What failed" not in render(gate(cell()))


def test_emulated_and_reused_cells_are_labelled() -> None:
    one = cell(cell_id="s/t4/float16/mild", hardware=emulated())
    one.reused = True
    (row,) = rows(render(gate(one)))

    assert row.startswith("| `s/t4/float16/mild (emulated)` reused |")
    assert row.count("(emulated)") == 3


@pytest.mark.parametrize("limit", [0, 60, 400, 1_000, 2_500, 9_000, 64_000])
def test_no_limit_is_ever_passed(limit: int) -> None:
    assert len(render(many(400), limit).encode()) <= limit


@pytest.mark.parametrize("limit", [3_000, 9_000, 30_000])
def test_what_is_left_out_is_counted_and_red_rows_stay_longest(limit: int) -> None:
    result = many(300)
    text = render(result, limit)
    kept = rows(text)
    left_out = int(re.findall(r"(\d+) further cells left out", text)[0])

    assert len(kept) + left_out == 300
    red = [row for row in kept if "FAIL" in row or "CRASHED" in row]
    assert len(red) == min(120, len(kept))


def test_a_small_run_is_never_shortened() -> None:
    assert "left out" not in render(mixed())


def test_an_attack_in_any_text_stays_text() -> None:
    text = render(hostile())

    assert "<script" not in text
    assert "<img" not in text
    assert not re.search(r"@(?!\u200b)team", text.replace("&#64;team", ""))
    table = [line for line in text.splitlines() if line.startswith("| ")]
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in table} == {7}


@given(st.text(max_size=80))
def test_escaped_text_is_one_line_without_markup(text: str) -> None:
    safe = escape(text, 80)

    assert "\n" not in safe
    assert not set("<>") & set(safe)
    assert not re.search(r"(?<!\\)(?:\\\\)*[`*_|\[\]~$]", safe)
    assert not re.search("@(?!\u200b)", safe)


@given(st.text(max_size=80))
def test_code_never_ends_before_its_text(text: str) -> None:
    span = code(text, 80)

    inner = span[1:-1] if span.startswith("`") else span.removeprefix("<code>")[: -len("</code>")]
    assert "`" not in inner
    assert "|" not in inner
    assert span.startswith("`") or "<" not in inner


def test_plain_ids_stay_readable() -> None:
    assert code("unsloth-2026.10.9/cpu/float32/mild", 99) == "`unsloth-2026.10.9/cpu/float32/mild`"
    assert escape("eval_loss stays 6.9 (4 of 4)", 99) == r"eval\_loss stays 6.9 (4 of 4)"


def test_many_cells_that_fail_alike_are_one_entry() -> None:
    text = render(gate(*(frozen(f"s/t4/float16/r{number}") for number in range(5))))

    assert text.count("- Why:") == 1
    assert "`s/t4/float16/r2 (emulated)` and 2 more" in text
