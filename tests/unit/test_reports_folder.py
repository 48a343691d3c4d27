import json
from pathlib import Path

import pytest

from harness import reports
from harness.errors import CorruptRecordError, InputError, StorageError
from harness.gate import GateResult
from harness.reports import releases, releases_data
from harness.reports.releases import ReleasesView
from tests.unit.gate_results import mixed, regression


def test_a_folder_holds_result_page_summary_and_benchmark(tmp_path: Path) -> None:
    written = reports.write(mixed(), tmp_path / "new")

    assert [path.name for path in written] == [
        "result.json",
        "report.html",
        "summary.md",
        "benchmark.json",
    ]
    assert sorted((tmp_path / "new").iterdir()) == sorted(written)


def test_a_result_is_read_back_as_it_was_written_nan_included(tmp_path: Path) -> None:
    reports.write(mixed(), tmp_path)
    loaded = reports.load(tmp_path)

    # NaN is not equal to itself: compare the text.
    assert loaded.model_dump_json() == mixed().model_dump_json()
    assert "NaN" in (tmp_path / "result.json").read_text()


def test_rendering_again_gives_the_same_files(tmp_path: Path) -> None:
    first = reports.write(mixed(), tmp_path / "a")
    second = reports.write(reports.load(tmp_path / "a"), tmp_path / "b")

    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]


def test_a_folder_without_a_result_is_an_input_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"result\.json does not exist"):
        reports.load(tmp_path)


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("", "the whole file"),
        ('{"command": "x"', "the whole file"),
        ('{"command": "x"}', "started_at"),
    ],
)
def test_a_broken_result_is_corrupt_and_says_where(tmp_path: Path, text: str, where: str) -> None:
    (tmp_path / "result.json").write_text(text)

    with pytest.raises(CorruptRecordError, match=where):
        reports.load(tmp_path)


def test_a_result_with_a_record_of_another_schema_is_corrupt(tmp_path: Path) -> None:
    reports.write(mixed(), tmp_path)
    data = json.loads((tmp_path / "result.json").read_text())
    data["cells"][1]["record"]["schema_version"] = 2
    (tmp_path / "result.json").write_text(json.dumps(data))

    with pytest.raises(CorruptRecordError, match=r"cells\.1\.record\.schema_version"):
        reports.load(tmp_path)


def test_a_folder_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")

    with pytest.raises(StorageError):
        reports.write(mixed(), tmp_path / "taken")


def test_the_comparison_of_releases_is_worked_out_once_for_all_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[GateResult] = []
    view = releases.view

    def counted(result: GateResult) -> ReleasesView:
        seen.append(result)
        return view(result)

    for module in (releases, releases_data):
        monkeypatch.setattr(module, "view", counted)
    reports.write(regression(), tmp_path)

    assert len(seen) == 1
    assert json.loads((tmp_path / "result.json").read_text())["releases"]["steps"]
