import json
import math
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.bands import MIN_MARGIN, derive_bands
from harness.baselines import BaselineError, baseline_path, from_records, load, write
from harness.errors import CorruptRecordError, StorageError
from harness.record import Record
from tests.unit.records import NAN, make_record

CELL = "unsloth-2026.10.9/cpu/float32/mild"


def repeats(count: int = 3, **changes: Any) -> list[Record]:
    return [make_record(repeat=index, **changes) for index in range(count)]


def test_baseline_holds_figures_keys_and_bands_of_its_repeats() -> None:
    baseline = from_records(repeats())

    assert baseline.cell_id == CELL
    assert len(baseline.runs) == 3
    assert baseline.comparable.threads == 1
    assert baseline.runs[0].eval_losses == (6.74, 4.73, 4.38, 4.27)
    assert {"steps_per_s", "tokens_per_s", "eval_tokens_per_s", "peak_rss.train"} <= set(
        baseline.bands
    )
    assert set(baseline.bands) == set(baseline.runs[0].figures)


def test_write_and_load_round_trip(tmp_path: Path) -> None:
    baseline = from_records(repeats())
    path = write(baseline, tmp_path)

    assert path.name == "unsloth-2026.10.9__cpu__float32__mild.json"
    assert load(CELL, tmp_path) == baseline
    assert path.stat().st_size < 10_000
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_cell_without_baseline_has_none(tmp_path: Path) -> None:
    assert load(CELL, tmp_path) is None


@pytest.mark.parametrize(
    ("records", "reason"),
    [
        ([], "different repeats, got 0"),
        (repeats(2), "different repeats, got 2"),
        ([make_record()] * 3, "different repeats"),
        (repeats(fault="zero_lr"), "fault 'zero_lr'"),
        (repeats(extras=["first_step"]), "extras first_step"),
        (repeats(preloaded=True), "Run it in a fresh one"),
        ([*repeats(2), make_record(repeat=2, status="TIMEOUT")], "ended as TIMEOUT"),
        ([*repeats(2), make_record(repeat=2, status="CRASHED")], "ended as CRASHED"),
        (repeats(evaluations=[6.7, NAN, 4.3, 4.2]), "not finite"),
        (repeats(evaluations=[6.7, None, 4.3, 4.2]), "not finite"),
        (repeats(evaluations=[]), "missing or not finite"),
        ([*repeats(2), make_record(repeat=2, key="another")], "not repeats of one experiment"),
        ([*repeats(2), make_record(repeat=2, cell_id="a/b/c/d")], "not repeats of one experiment"),
        ([*repeats(2), make_record(repeat=2, hardware={"device": "Other"})], "differ in device"),
    ],
)
def test_unfit_records_are_refused(records: list[Record], reason: str) -> None:
    with pytest.raises(BaselineError, match=reason):
        from_records(records)


def edited(path: Path, edit: Any) -> None:
    data = json.loads(path.read_text())
    edit(data)
    path.write_text(json.dumps(data))


def widen(data: dict[str, Any]) -> None:
    data["bands"]["steps_per_s"]["low"] *= 0.5


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (widen, "the band of steps_per_s"),
        (lambda data: data["bands"].pop("tokens_per_s"), "band of tokens_per_s"),
        (lambda data: data["runs"].pop(), "is not that of its runs"),
        (lambda data: data.update(schema_version=99), "schema_version"),
        (lambda data: data.update(cell_id="a/b/c/d"), "baseline of a/b/c/d"),
        (lambda data: data.pop("comparable"), "comparable"),
    ],
)
def test_edited_file_is_refused(tmp_path: Path, edit: Any, reason: str) -> None:
    edited(write(from_records(repeats()), tmp_path), edit)

    with pytest.raises(CorruptRecordError, match=reason):
        load(CELL, tmp_path)


@pytest.mark.parametrize("content", [b"", b'{"schema_version": 1, "cell', b"[]", b"\xff\xfe\x00"])
def test_broken_file_is_refused(tmp_path: Path, content: bytes) -> None:
    baseline_path(CELL, tmp_path).write_bytes(content)

    with pytest.raises(CorruptRecordError, match="approve"):
        load(CELL, tmp_path)


def test_full_disk_keeps_the_old_baseline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = from_records(repeats())
    write(old, tmp_path)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="No space left"):
        write(from_records(repeats(4)), tmp_path)
    assert load(CELL, tmp_path) == old


rates = st.floats(1e-3, 1e9)


@given(st.lists(rates, min_size=3, max_size=12))
def test_property_band_is_positive_holds_its_center_and_the_margin(values: list[float]) -> None:
    band = derive_bands([{"rate": value} for value in values])["rate"]

    assert 0 <= band.low < band.center < band.high
    assert band.center / band.low >= MIN_MARGIN * (1 - 1e-4) or band.low == 0
    assert band.center == pytest.approx(math.exp(math.fsum(map(math.log, values)) / len(values)),
                                        rel=1e-4)  # fmt: skip


@given(st.lists(rates, max_size=2))
def test_property_fewer_than_three_runs_have_no_band(values: list[float]) -> None:
    assert derive_bands([{"rate": value} for value in values]) == {}


@given(st.lists(rates, min_size=3, max_size=6), st.floats(0.1, 10))
def test_property_band_scales_with_its_unit(values: list[float], unit: float) -> None:
    one = derive_bands([{"rate": value} for value in values])["rate"]
    other = derive_bands([{"rate": value * unit} for value in values])["rate"]

    assert other.center == pytest.approx(one.center * unit, rel=1e-4)
    assert other.low == pytest.approx(one.low * unit, rel=1e-4)


def test_band_of_three_runs_is_the_t_interval() -> None:
    # sd of the logs is 0.1: half width 6.965 * 0.1 * sqrt(4 / 3)
    runs = [{"rate": math.exp(x)} for x in (-0.1, 0.0, 0.1)]

    assert derive_bands(runs)["rate"].high == pytest.approx(math.exp(0.80425), rel=1e-4)


def test_figure_that_one_run_lacks_has_no_band() -> None:
    assert derive_bands([{"a": 1.0, "b": 1.0}, {"a": 1.0}, {"a": 1.0, "b": 1.0}]).keys() == {"a"}
