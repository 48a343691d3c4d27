"""A record that cannot be read: named, kept beside, its cell run again; never a traceback, never believed."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

from harness.errors import CorruptRecordError
from harness.record import read_record, write_record
from tests.survival.conftest import Figures
from tests.survival.scene import Scene, lost
from tests.unit.records import make_record


def future(text: bytes) -> bytes:
    return json.dumps({**json.loads(text), "schema_version": 99, "not_invented_yet": []}).encode()


BAD: dict[str, Callable[[bytes], bytes]] = {
    "truncated": lambda good: good[: len(good) // 2],
    "empty": lambda good: b"",
    "zeros": lambda good: b"\0" * len(good),
    "garbage": lambda good: b"\x80\xffnot a record\n",
    "UTF-16": lambda good: good.decode().encode("utf-16"),
    "another thing": lambda good: b'["a list"]',
    "of a future version": future,
}


def test_it_is_set_aside_and_its_cell_runs_again(scene: Scene, figures: Figures) -> None:
    cells = scene.cells[: len(BAD) + 1]
    scene.end(scene.run_command(cells=cells))
    first, *others = scene.record_files()
    was = {}
    for path, spoil in zip(others, BAD.values(), strict=True):
        was[path] = spoil(path.read_bytes())
        path.write_bytes(was[path])
    before = {path: entry for path, entry in scene.snapshot().items() if path == first}

    report = scene.end(
        [sys.executable, "-m", "harness", "report", str(scene.root / "reports" / "records")]
    )
    assert report.code == 16, report.output
    assert "Traceback" not in report.output
    named = [path for path in was if path.name in report.output]
    # JSON that was never a record is not one that was lost.
    assert len(named) == len(BAD) - 1

    ended = scene.end(scene.run_command(cells=cells))
    assert ended.code == 1, ended.output
    assert "Traceback" not in ended.output
    for path, data in was.items():
        aside = path.with_suffix(".unreadable")
        assert aside.read_bytes() == data
        assert aside.name in ended.output
    assert {record.status for record in scene.records()} == {"COMPLETED"}
    gone = lost(before, scene.snapshot()) + sum(
        path.with_suffix(".unreadable").read_bytes() != data for path, data in was.items()
    )
    assert gone == 0
    figures.add(
        f"a record that is {', '.join(BAD)}",
        f"{len(BAD)}",
        "set aside and named, its cell run again; `harness report` over them: exit code 16",
        f"{ended.seconds:.1f} s",
        gone,
    )


def test_no_truncation_is_another_record(
    tmp_path: Path, all_faults: bool, figures: Figures
) -> None:
    path = tmp_path / "record.json"
    write_record(make_record(), path)
    whole, record = path.read_bytes(), read_record(path)
    believed = 0
    lengths = range(0, len(whole), 1 if all_faults else 61)
    for length in lengths:
        path.write_bytes(whole[:length])
        try:
            read = read_record(path)
        except CorruptRecordError:
            continue
        believed += read != record
        # All that may be missing is the last line's end.
        assert length == len(whole) - 1
    assert believed == 0
    figures.add(
        "a record truncated at a byte",
        f"{len(lengths)} offsets",
        f"CorruptRecordError; {believed} believed",
    )
