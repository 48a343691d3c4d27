from pathlib import Path

import pytest
from typer.testing import CliRunner

from harness.cli.main import app
from harness.errors import CorruptRecordError, InputError
from harness.kept_records import judge_kept, newest, read_folders
from harness.record import write_record
from harness.verdict import Outcome
from tests.unit.records import make_record

CELL = "reference-2026.10.9/cpu/float32/mild"


def test_records_at_any_depth_are_judged(tmp_path: Path) -> None:
    write_record(make_record(cell_id=CELL), tmp_path / "a" / "b" / "one.json")
    (tmp_path / "notes.json").write_text("[]")
    result = judge_kept(tmp_path, "harness report F")
    assert [cell.record.cell_id for cell in result.cells] == [CELL]
    assert result.cells[0].outcome is Outcome.PASS


def test_an_older_experiment_of_a_cell_is_no_repeat_of_the_newer() -> None:
    old = make_record(cell_id=CELL, key="old", started_at="2026-11-25T10:00:00+00:00")
    new = make_record(cell_id=CELL, key="new", started_at="2026-11-26T10:00:00+00:00")
    again = make_record(cell_id=CELL, key="new", repeat=1, started_at="2026-11-26T09:00:00+00:00")
    assert newest([new, old, again]) == [new, again]


def test_the_run_lasts_from_its_first_start_to_its_last_end(tmp_path: Path) -> None:
    for name, minute in (("a", 10), ("b", 15)):
        record = make_record(
            cell_id=f"{CELL}{name}", started_at=f"2026-11-26T10:{minute}:00+00:00", duration_s=30.0
        )
        write_record(record, tmp_path / f"{name}.json")
    assert judge_kept(tmp_path, "c").duration_s == 330


def test_a_folder_without_records_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no record below"):
        judge_kept(tmp_path, "c")
    with pytest.raises(InputError, match="nowhere"):
        list(read_folders([tmp_path / "nowhere"]))


@pytest.mark.parametrize(
    "content", ["", '{"schema_version": 1, "cell', '{"cell_id": 1, "schema_version": 2}']
)
def test_a_record_that_cannot_be_read_is_never_left_out_in_silence(
    content: str, tmp_path: Path
) -> None:
    write_record(make_record(cell_id=CELL), tmp_path / "one.json")
    for name in ("other", "third"):
        (tmp_path / f"{name}.json").write_text(content)
    done = CliRunner().invoke(app, ["report", str(tmp_path), "--out", str(tmp_path / "out")])
    assert isinstance(done.exception, CorruptRecordError)
    assert "other.json" in str(done.exception)
    assert "third.json" in str(done.exception)
    assert not (tmp_path / "out").exists()


def test_the_report_goes_where_it_is_asked_to(tmp_path: Path) -> None:
    write_record(make_record(cell_id=CELL), tmp_path / "records" / "one.json")
    done = CliRunner().invoke(
        app, ["report", str(tmp_path / "records"), "--out", str(tmp_path / "out")]
    )
    assert done.exit_code == 0, done.output
    assert (tmp_path / "out" / "summary.md").is_file()
