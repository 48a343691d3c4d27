import json
import math
import re
from datetime import UTC, datetime
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from typer.testing import CliRunner

from harness.cli.main import app, main
from harness.errors import InputError
from harness.record import write_record
from harness.reports import history as table
from harness.reports import history_page, trend_chart
from tests.unit.gate_results import HOSTILE
from tests.unit.records import make_record, steps
from tests.unit.test_history import run, traced

NOW = datetime(2026, 11, 1, tzinfo=UTC)
amounts = st.floats(0, 1e15) | st.sampled_from([math.nan, math.inf, -math.inf])


def text_of(renderable: object) -> str:
    console = Console(width=200)
    with console.capture() as captured:
        console.print(renderable)
    return captured.get()


@given(st.lists(amounts, min_size=1, max_size=60), st.sampled_from(["eval_loss", "peak_rss.train"]))
def test_any_trend_is_drawn_written_and_told_to_machines(given: list[float], figure: str) -> None:
    runs = [run(n, f"2026.{n % 3 + 1}.1", figures={figure: v}) for n, v in enumerate(given)]
    found = traced(*runs)
    (trend,) = found.series[0].trends

    svg = trend_chart.draw(trend)
    ElementTree.fromstring(svg)
    assert not re.search(r' (?:d|x|y)="[^"]*(?:nan|inf)', svg)
    assert figure in text_of(table.render(found))
    json.dumps(table.as_data(found, Path("page")), allow_nan=False)


@given(st.lists(amounts, max_size=100))
def test_a_spark_line_has_a_sign_for_every_stretch(given: list[float]) -> None:
    drawn = table.spark(given)

    assert len(drawn) == min(len(given), table.SPARK_WIDTH)
    assert set(drawn) <= {*table.BARS, "x"}
    assert ("x" in drawn) <= any(not math.isfinite(v) for v in given)


def test_a_spark_line_rises_and_falls() -> None:
    assert table.spark([1.0, 2.0, 3.0, 1.0]) == "▁▅█▁"
    assert table.spark([100.0, 100.1, 100.0]) == "▁▁▁"


def test_the_table_says_what_is_left_out() -> None:
    found = traced(run(0), run(1, fault="broken"), run(2, fault="broken"))

    said = text_of(table.render(found, every=True))

    assert "1 run in 1 series" in said
    assert "left out: 2 runs, fault injected" in said


def test_hostile_text_stays_text_in_the_page() -> None:
    found = traced(
        run(0, device=HOSTILE, recipe=HOSTILE, dtype_request=HOSTILE),
        run(1, status=HOSTILE),
        run(2, figures={f"peak_rss.{HOSTILE}": 5.0}),
    )

    page = history_page.render(found, NOW)

    assert page.count("<script") == 0
    assert "<img" not in page
    assert "script-src" not in page
    assert "default-src 'none'" in page
    assert "alert(" in page
    assert HOSTILE not in page


def test_a_page_of_many_series_stays_small_and_says_what_it_leaves_out() -> None:
    found = traced(
        *(
            run(n, recipe=f"r{n % 30}", recipe_digest=f"{n % 30}", figures=figures)
            for figures in [{f"figure_{k}": 1.0 + k for k in range(12)}]
            for n in range(60)
        )
    )

    page = history_page.render(found, NOW)

    assert page.count("<svg") == history_page.MOST_PLOTS
    assert "160 trends not drawn" in page
    assert len(page.encode()) < 2_000_000


def test_a_change_is_in_table_page_and_data() -> None:
    found = traced(
        *(run(n, "2026.1.1" if n < 8 else "2026.2.1", 10.0 if n < 8 else 9.0) for n in range(16))
    )

    words = "-10.0 % (worse) 2026.1.1 -> 2026.2.1, from 2026-01-01 on"
    assert words in text_of(table.render(found))
    page = history_page.render(found, NOW)
    assert 'class="change worse"' in page
    assert "-10.0 % worse" in page
    (change,) = table.as_data(found, Path("p"))["series"][0]["figures"]["steps_per_s"][
        "change_points"
    ]
    assert (change["index"], change["worse"]) == (8, True)


@pytest.fixture
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HARNESS_REPORTS", str(tmp_path))
    return tmp_path


def test_the_command_reads_records_prints_and_plots(reports: Path) -> None:
    for n in range(12):
        record = make_record(
            key=f"{n:012x}",
            started_at=f"2026-10-{n + 1:02}T12:00:00+00:00",
            steps=steps(wall_s=0.1 if n < 6 else 0.13),
        )
        write_record(record, reports / "records" / "cell" / f"{n}.json")
    (reports / "records" / "cell" / "broken.json").write_text("{")

    done = CliRunner().invoke(app, ["history", "cpu/*", "--figure", "steps_*"])

    assert done.exit_code == 0, done.output
    assert "steps_per_s" in done.output
    assert "-23.1 % (worse) within 2026.10.9" in done.output
    assert "cannot be read" in done.output
    assert "<svg" in (reports / "runs" / "history.html").read_text()

    data = json.loads(CliRunner().invoke(app, ["history", "--json"]).output)
    assert data["runs"] == 12
    assert len(data["unreadable"]) == 1
    assert "eval_loss" in data["series"][0]["figures"]


def test_without_records_it_says_so(
    reports: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["harness", "history"])

    with pytest.raises(SystemExit) as stop:
        main()

    assert stop.value.code == InputError.exit_code
    assert f"{reports} holds no record" in capsys.readouterr().err
