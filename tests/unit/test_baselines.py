import json
import math
import os
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.baselines.bands import MIN_MARGIN, derive_bands
from harness.baselines.baseline import Comparable, from_records
from harness.baselines.files import baseline_path, find, load, load_all, machines, write
from harness.errors import BaselineError, CorruptRecordError, StorageError
from harness.figures import THROUGHPUT, worse
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


MACHINE = "example-cpu-2-cores"


def test_write_and_load_round_trip(tmp_path: Path) -> None:
    baseline = from_records(repeats())
    path = write(baseline, tmp_path)

    assert path == tmp_path / MACHINE / "unsloth__cpu__float32__mild.json"
    assert load(path, tmp_path) == baseline
    assert path.stat().st_size < 10_000
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_a_record_of_any_release_finds_the_baseline_of_its_family(tmp_path: Path) -> None:
    write(from_records(repeats()), tmp_path)
    newer = {"release": "2026.11.1", "name": "unsloth-2026.11.1"}
    other = {"family": "reference", "name": "reference-2026.10.9"}

    found = find(make_record(cell_id=CELL.replace("10.9", "11.1"), stack=newer), tmp_path)
    assert found is not None
    assert found.release == "2026.10.9"
    assert find(make_record(cell_id=CELL, stack=other), tmp_path) is None


def test_each_machine_has_its_own_baseline(tmp_path: Path) -> None:
    gpu = {"device": "NVIDIA H100 80GB HBM3", "driver": "570.86", "max_sm_clock_mhz": 1980}
    write(from_records(repeats()), tmp_path)
    write(from_records(repeats(hardware={"cores": 8})), tmp_path)
    write(from_records(repeats(hardware=gpu)), tmp_path)

    names = ("example-cpu-2-cores", "example-cpu-8-cores", "nvidia-h100-80gb-hbm3")
    assert machines("unsloth/cpu/float32/mild", tmp_path) == names
    assert tuple(b.comparable.machine for b in load_all(tmp_path)) == names
    assert find(make_record(hardware={"cores": 4}), tmp_path) is None


@pytest.mark.parametrize(
    ("changes", "key"),
    [({"driver": "575.1"}, "driver"), ({"max_sm_clock_mhz": 1410}, "max_sm_clock_mhz")],
)
def test_another_driver_or_clock_limit_of_one_card_differs(
    changes: dict[str, Any], key: str
) -> None:
    gpu = {"device": "NVIDIA H100", "driver": "570.86", "max_sm_clock_mhz": 1980}
    one, other = (Comparable.of(make_record(hardware=h)) for h in (gpu, {**gpu, **changes}))

    assert one.machine == other.machine
    assert list(one.differences(other)) == [key]


def test_a_long_name_still_makes_a_file(tmp_path: Path) -> None:
    long = f"{CELL}+{'seed=1+' * 60}"
    path = write(from_records(repeats(cell_id=long)), tmp_path)

    assert find(make_record(cell_id=long), tmp_path) is not None
    assert len(path.name) < 200


def test_cell_without_baseline_has_none(tmp_path: Path) -> None:
    assert find(make_record(), tmp_path) is None


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
        (lambda data: data.update(experiment="a/b/c/d"), "baseline of a/b/c/d"),
        (lambda data: data["comparable"].update(cores=8), "on example-cpu-8-cores"),
        (lambda data: data.pop("comparable"), "comparable"),
    ],
)
def test_edited_file_is_refused(tmp_path: Path, edit: Any, reason: str) -> None:
    edited(write(from_records(repeats()), tmp_path), edit)

    with pytest.raises(CorruptRecordError, match=reason):
        find(make_record(), tmp_path)


@pytest.mark.parametrize("content", [b"", b'{"schema_version": 1, "cell', b"[]", b"\xff\xfe\x00"])
def test_broken_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = baseline_path("unsloth/cpu/float32/mild", MACHINE, tmp_path)
    path.parent.mkdir()
    path.write_bytes(content)

    with pytest.raises(CorruptRecordError, match="approve"):
        find(make_record(), tmp_path)


def test_full_disk_keeps_the_old_baseline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = from_records(repeats())
    write(old, tmp_path)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="No space left"):
        write(from_records(repeats(4)), tmp_path)
    assert find(make_record(), tmp_path) == old


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
    # sd of the logs is 0.1: half width 6.9646 * 0.1 * sqrt(4 / 3), t of two degrees of freedom at 1 %
    runs = [{"rate": math.exp(x)} for x in (-0.1, 0.0, 0.1)]

    assert derive_bands(runs)["rate"].high == pytest.approx(math.exp(0.80425), rel=1e-4)


def test_bands_of_figures_that_a_check_judges_together_share_its_false_alarms() -> None:
    logs = (-0.1, 0.0, 0.1)
    alone = derive_bands([{"eval_s": math.exp(x)} for x in logs])["eval_s"]
    runs = [{"eval_s": math.exp(x), "steps_per_s": 1.0, "peak_rss.train": 1.0} for x in logs]
    beside = derive_bands(runs)["eval_s"]

    # t of two degrees of freedom: 6.9646 at 1 %, 9.9248 at 0.5 % (memory is another check's).
    assert math.log(beside.high) / math.log(alone.high) == pytest.approx(9.9248 / 6.9646, rel=1e-4)


@pytest.mark.parametrize("correlation", [0.0, 0.6, 1.0])
def test_an_unchanged_run_leaves_any_of_five_bands_once_in_a_hundred(correlation: float) -> None:
    # Wide enough for the least margin not to matter: sd 5 %. The seed and 1,500 gates make 1 % +- 0.5 %.
    draw, gates, alarms = random.Random(1), 1500, 0
    for _ in range(gates):
        *runs, judged = (_figures(draw, correlation) for _ in range(6))
        bands = derive_bands(runs)
        alarms += any(
            judged[n] < band.low if worse(n) == "lower" else judged[n] > band.high
            for n, band in bands.items()
        )

    assert alarms / gates <= 0.015


def _figures(draw: random.Random, correlation: float) -> dict[str, float]:
    together = draw.gauss(0, 0.05)
    return {
        name: math.exp(
            math.sqrt(correlation) * (together if worse(name) == "higher" else -together)
            + math.sqrt(1 - correlation) * draw.gauss(0, 0.05)
        )
        for name in THROUGHPUT
    }


def test_figure_that_one_run_lacks_has_no_band() -> None:
    assert derive_bands([{"a": 1.0, "b": 1.0}, {"a": 1.0}, {"a": 1.0, "b": 1.0}]).keys() == {"a"}
