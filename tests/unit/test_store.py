import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from harness.errors import StorageError
from harness.experiment import Experiment
from harness.locations import new_run_dir
from harness.plan import Options, Plan
from harness.store import RecordStore
from tests.unit.records import make_record


@pytest.fixture
def experiment() -> Experiment:
    plan = Plan(Options())
    return plan.once(plan.matrix.cell("reference-2026.10.9/cpu/float32/ragged")).experiment


@pytest.fixture
def store(tmp_path: Path) -> RecordStore:
    return RecordStore(tmp_path / "records")


def test_what_completed_is_found_and_what_did_not_is_tried_again(
    store: RecordStore, experiment: Experiment
) -> None:
    assert store.finished(experiment, 0) is None
    store.save(experiment, make_record(status="CRASHED"))
    assert store.finished(experiment, 0) is None
    store.save(experiment, make_record())
    assert store.finished(experiment, 0) == make_record()


def test_what_is_no_record_is_never_written_over(
    store: RecordStore, experiment: Experiment
) -> None:
    path = store.path(experiment, 0)
    kept = []
    for content in ("one", "two", "three"):
        store.save(experiment, make_record())
        path.write_text(content)
        assert store.finished(experiment, 0) is None
        said = store.make_way(experiment, 0)
        assert said is not None
        assert path.name in said
        assert not path.exists()
        kept.append(path.with_name(re.search(r"It is (\S+) now", said)[1]))  # type: ignore[index]
    assert [aside.read_text() for aside in kept] == ["one", "two", "three"]
    assert not list(path.parent.glob("*.json"))


def test_a_record_stays_where_it_is(store: RecordStore, experiment: Experiment) -> None:
    store.save(experiment, make_record(status="CRASHED"))
    assert store.make_way(experiment, 0) is None
    assert store.path(experiment, 0).exists()


def test_a_folder_that_cannot_be_made_says_which_variable_moves_it(
    tmp_path: Path, experiment: Experiment
) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="HARNESS_REPORTS"):
        RecordStore(tmp_path / "file").lock(experiment, 0)


def test_runs_of_one_second_and_one_process_number_have_folders_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_REPORTS", str(tmp_path))
    started = datetime(2026, 11, 26, tzinfo=UTC)
    folders = [new_run_dir("faults-", started) for _ in range(3)]
    assert len(set(folders)) == 3
    assert all(folder.is_dir() for folder in folders)


def test_a_run_folder_that_cannot_be_made_is_a_storage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_REPORTS", str(tmp_path / "file"))
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="HARNESS_REPORTS"):
        new_run_dir()
