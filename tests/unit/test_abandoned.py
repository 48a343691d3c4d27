"""What a killed process leaves is removed by the next, and never what a living one uses."""

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from harness import abandoned
from harness.abandoned import remove_files, remove_folders, whole_file, work_folder
from harness.errors import StorageError


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def killed(code: str, folder: Path) -> None:
    """Run code in a process that kills itself where the code says so."""
    program = f"import os\nfrom pathlib import Path\nfrom harness import abandoned\n{code}"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, env={**os.environ, "TMPDIR": str(folder)}
    )
    assert done.returncode == -signal.SIGKILL


def test_a_work_folder_is_gone_afterwards(temporary: Path) -> None:
    with work_folder("cell") as folder:
        (folder / "deep").mkdir()
    assert list(temporary.iterdir()) == []


def test_what_is_used_stays_and_what_a_killed_process_left_goes(temporary: Path) -> None:
    killed("with abandoned.work_folder('cell'):\n    os.kill(os.getpid(), 9)", temporary)
    (left,) = temporary.iterdir()
    foreign = temporary / "somebody-elses"
    foreign.mkdir()
    with work_folder("cell") as used:
        assert remove_folders() == [left]
        assert sorted(temporary.iterdir()) == sorted([used, foreign])


@pytest.mark.parametrize("at", ["os.fsync", "Path.chmod", "Path.replace"])
def test_killed_at_any_step_the_old_file_is_there_whole(at: str, tmp_path: Path) -> None:
    file = tmp_path / "records" / "record.json"
    file.parent.mkdir()
    file.write_text("old")
    code = f"{at} = lambda *_: os.kill(os.getpid(), 9)\n"
    code += f"with abandoned.whole_file(Path({str(file)!r})) as new:\n    new.write_text('new')"
    killed(code, tmp_path / "tmp")
    assert file.read_text() == "old"
    assert len(list(file.parent.iterdir())) == 2
    assert len(remove_files([file.parent])) == 1
    assert list(file.parent.iterdir()) == [file]


def test_a_file_that_is_being_written_is_left_alone(tmp_path: Path) -> None:
    with whole_file(tmp_path / "a.json") as new:
        assert remove_files([tmp_path]) == []
        new.write_text("whole")
    assert (tmp_path / "a.json").read_text() == "whole"


@pytest.mark.parametrize("error", [BlockingIOError, FileNotFoundError])
def test_what_another_run_took_for_abandoned_is_made_again(
    error: type[OSError], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = abandoned._lock
    taken: list[Path] = []

    def first_taken(path: Path) -> int:
        if not taken:
            taken.append(path)
            path.unlink()
            raise error
        return lock(path)

    monkeypatch.setattr(abandoned, "_lock", first_taken)
    with whole_file(tmp_path / "a.json") as new:
        assert new not in taken
        new.write_text("whole")
    assert (tmp_path / "a.json").read_text() == "whole"


def test_a_file_system_without_locks_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none(path: Path) -> int:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(abandoned, "_lock", none)
    with whole_file(tmp_path / "a.json") as new, work_folder("cell") as folder:
        new.write_text("whole")
        assert remove_folders() == remove_files([tmp_path]) == []
        assert folder.is_dir()
    assert (tmp_path / "a.json").read_text() == "whole"


def test_no_temporary_folder_says_which_variable_moves_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(StorageError, match="TMPDIR"), work_folder("cell"):
        pass
