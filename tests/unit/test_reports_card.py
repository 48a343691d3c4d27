"""The table of a card's figures. The records are made up: no test may read them as a result."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from harness.cli.main import app
from harness.errors import InputError
from harness.record import Phase, Record, write_record
from harness.reports.card import markdown, native
from harness.throughput.answer import MeasuredPair, Series
from harness.throughput.turns import Pair, Times
from tests.unit.records import make_record

CELL = "unsloth-2026.10.9/h200/bfloat16/shape-1b-1k"


def on_a_card(**changes: Any) -> Record:
    hardware = {"name": "h200", "kind": "native", "device": "NVIDIA H200", "driver": "580.1"}
    phases = [
        Phase(name=name, wall_s=10.0, peak_rss=1, peak_gpu_allocated=peak << 30)
        for name, peak in (("import", 0), ("load", 2), ("data", 2), ("eval", 3), ("train", 9))
    ]
    fields: dict[str, Any] = {
        "cell_id": CELL,
        "hardware": {**hardware, "compute_capability": "9.0"},
        "phases": phases,
        "dtype_request": "bfloat16",
    }
    return make_record(**{**fields, **changes})


def row(record: Record) -> str:
    return markdown(native([record]), "harness figures F").splitlines()[-1]


def test_each_figure_has_its_column() -> None:
    shown = row(on_a_card())
    assert f"`{CELL}`" in shown
    assert "6.7400 4.7300 4.3800 4.2700" in shown
    assert "9.00 GiB, 3.00 GiB" in shown
    assert "alone" in shown


def test_a_speed_beside_other_cells_is_marked() -> None:
    shown = row(on_a_card(hardware={**on_a_card().hardware.model_dump(), "parallel_cells": 4}))
    assert "4 cells at once" in shown


def test_a_run_out_of_memory_is_shown_as_one_with_nothing_made_up() -> None:
    shown = row(on_a_card(status="OOM", steps=[], evaluations=[], phases=[]))
    assert "OOM, alone" in shown
    assert shown.count("not measured") >= 5 or shown.count("—") >= 5


@pytest.mark.parametrize(
    "changes",
    [
        {"hardware": {"name": "t4-over-h200", "kind": "emulated", "device_capability": "9.0"}},
        {"hardware": {"name": "cpu", "kind": "native", "compute_capability": None}},
        {"fault": "slower_steps"},
        {"extras": ["first_step"]},
    ],
)
def test_what_is_no_figure_of_the_card_is_left_out(changes: dict[str, Any]) -> None:
    assert native([on_a_card(**changes)]) == []


def test_the_command_writes_the_table_from_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_REPORTS", str(tmp_path / "reports"))
    write_record(on_a_card(), tmp_path / "back" / "a.json")
    times = Times(start_up=[9.0], step=[0.1] * 8, evaluation=[0.1])
    one = MeasuredPair(
        pair=Pair(a=times, b=times), b_first=False, started_at="", seconds=9.0, cores=[], nice=0
    )
    series = Series(a="A", b="B", fault=None, slowdown=0, device="H", emulation="", pairs=[one])
    (tmp_path / "back" / "throughput").mkdir()
    (tmp_path / "back" / "throughput" / "b.json").write_text(series.model_dump_json())
    words = ["figures", str(tmp_path / "back"), "--out", str(tmp_path / "figures.md")]
    assert CliRunner().invoke(app, words).exit_code == 0
    (table,) = (tmp_path / "reports").rglob("figures.md")
    assert "NVIDIA H200, driver 580.1, 2026-10-20" in table.read_text()
    assert "\n## Throughput: " in table.read_text()
    assert (tmp_path / "figures.md").read_text() == table.read_text()


def test_nothing_of_a_card_is_said(tmp_path: Path) -> None:
    write_record(make_record(), tmp_path / "a.json")
    done = CliRunner().invoke(app, ["figures", str(tmp_path)])
    assert isinstance(done.exception, InputError)
