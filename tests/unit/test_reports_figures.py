import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.record import Phase
from harness.reports import facts, tables, wording
from harness.reports.pivot import check_outcomes, grid
from harness.verdict import Outcome
from tests.unit.gate_results import cell, emulated, frozen, mixed
from tests.unit.records import activation_memory, make_record, steps


def test_every_outcome_has_a_symbol_of_its_own_and_a_meaning() -> None:
    assert set(wording.SYMBOLS) == set(wording.MEANINGS) == set(Outcome)
    assert len(set(wording.SYMBOLS.values())) == len(Outcome)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (6.9392, "6.9392"),
        (0.0, "0.0000"),
        (6.1e-5, "6.1e-05"),
        (math.nan, "nan"),
        (-math.inf, "-inf"),
        (None, "—"),
    ],
)
def test_a_loss_shows_four_decimals(value: float | None, words: str) -> None:
    assert wording.loss(value) == words


@pytest.mark.parametrize(
    ("value", "words"), [(65536.0, "65,536"), (8.123e8, "8.123e+08"), (0.0211, "0.0211")]
)
def test_a_number_shows_four_significant_digits(value: float, words: str) -> None:
    assert wording.number(value) == words


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (0.0846, "0.0846 s"),
        (41.23, "41.2 s"),
        (287.4, "4 min 47 s"),
        (7500.0, "2 h 05 min"),
        (math.nan, "nan"),
        (None, "—"),
    ],
)
def test_durations(value: float | None, words: str) -> None:
    assert wording.seconds(value) == words


def test_perplexities_line_up() -> None:
    shown = [wording.perplexity(value) for value in (1262.0, 266.04, 5e43, math.nan, None)]

    assert shown == ["1,262.0", "266.0", "5e+43", "nan", "—"]


def test_sizes_moments_and_counts() -> None:
    assert [wording.size(n) for n in (905 << 20, 3 << 29, None)] == ["905 MiB", "1.50 GiB", "—"]
    assert wording.moment("2026-10-20T14:00:00+02:00") == "2026-10-20 12:00 UTC"
    assert wording.moment("yesterday") == "yesterday"
    assert (wording.count(1, "cell"), wording.count(0, "cell")) == ("1 cell", "0 cells")


@given(st.text(), st.integers(1, 50))
def test_clean_text_is_printable_and_short_text_is_bounded(text: str, limit: int) -> None:
    line = wording.one_line(text, limit)

    line.encode()
    assert not any(ord(c) < 32 or 0x7F <= ord(c) < 0xA0 for c in line)
    assert len(line) <= limit + 30


def test_dtypes_are_ranked_by_number_of_tensors() -> None:
    record = make_record(precision={"weights": {"float32": 37, "float16": 43}, "autocast": "off"})

    assert facts.effective_precision(record) == "fp16 + fp32, autocast off"
    assert wording.dtypes(record.precision.weights) == "float16 × 43 + float32 × 37"  # noqa: RUF001


@pytest.mark.parametrize("request_", ["auto", "nf4"])
def test_a_request_that_leaves_the_choice_cannot_be_departed_from(request_: str) -> None:
    record = make_record(dtype_request=request_, precision={"autocast": "bfloat16"})

    assert facts.departures(record) == {}


def test_another_dtype_than_requested_is_a_departure() -> None:
    record = make_record(precision={"weights": {"bfloat16": 80}, "autocast": "bfloat16"})

    assert set(facts.departures(record)) == {"weights", "autocast"}


def test_an_overflowed_layer_counts_as_the_largest() -> None:
    record = make_record(precision={"max_abs_activation": {"a": 8e5, "b": math.nan, "c": None}})
    found = facts.largest_activation(record)

    assert found is not None
    assert found[0] == "b"
    assert ("max |activation|", "nan in b, beyond float16’s 65504") in tables.precision_rows(record)  # noqa: RUF001


def test_memory_is_the_gpus_where_it_was_measured() -> None:
    phases = [Phase(name="train", wall_s=1.0, peak_rss=9 << 30, peak_gpu_allocated=3 << 30)]

    assert facts.peak_memory(make_record(phases=phases)) == (3 << 30, "GPU")
    assert facts.peak_memory(make_record()) == (905 << 20, "RSS")
    assert facts.peak_memory(make_record(phases=[])) is None


def test_speed_without_steady_steps_is_unknown() -> None:
    assert facts.tokens_per_second(make_record(steps=steps(2))) is None


def test_remarks_count_what_is_wrong_and_only_that() -> None:
    assert tables.step_remarks(make_record()) == []
    assert len(tables.step_remarks(frozen().record)) == 4


def test_skipped_steps_stay_few_enough_to_draw() -> None:
    record = make_record(steps=steps(900, applied=False))

    assert 90 <= len(tables.skipped_steps(record)) <= 120


def test_the_grid_holds_every_cell_once() -> None:
    cells = [*mixed().cells, cell(), cell(hardware={**emulated("cpu")})]
    found = grid(cells)

    placed = [id(c) for row in found.rows for slot in row.slots for c in slot]
    assert sorted(placed) == sorted(id(c) for c in cells)
    assert all(len(row.slots) == len(found.columns) for row in found.rows)
    # A native and an emulated profile of one name are two columns.
    assert [(h.name, h.kind) for h in found.columns] == [
        ("cpu", "native"),
        ("t4", "emulated"),
        ("cpu", "emulated"),
    ]


def test_rows_of_one_stack_stay_together() -> None:
    cells = [
        cell(stack={"name": name}, dtype_request=dtype)
        for name, dtype in (("a", "float32"), ("b", "float32"), ("a", "float16"))
    ]

    assert [row.stack for row in grid(cells).rows] == ["a", "a", "b"]


def test_a_check_that_did_not_judge_a_cell_has_no_outcome_there() -> None:
    assert check_outcomes(cell(), ["completed", "unheard_of"]) == [Outcome.PASS, None]


def test_a_shown_card_is_labelled_with_what_computes() -> None:
    record = make_record(
        hardware={
            "name": "t4-over-h100",
            "kind": "emulated",
            "device": "NVIDIA H100",
            "device_capability": "9.0",
        }
    )
    assert facts.labelled("t4-over-h100", record) == "t4-over-h100 (emulated over NVIDIA H100)"


def test_memory_over_steps_and_tokens_is_a_phrase() -> None:
    on_gpu = {"activation_memory": activation_memory(peak=300_000)}

    assert tables.memory_words(make_record()) == (
        "180 MiB in use after the first step, 180 MiB after the last, a token keeps 147.0 KiB for "
        "the backward pass"
    )
    assert tables.memory_words(make_record(probe=on_gpu)).endswith("peak by 293.0 KiB")
    assert tables.memory_words(make_record(probe=None, steps=[])) == ""
