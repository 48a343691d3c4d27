"""What keeps a payload in: which kind is chosen, what it may read, and that nothing is believed untried."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.containment import bubblewrap, choice, limited, namespaces, readable, trial
from harness.containment.choice import choose, weakness
from harness.containment.command import OWN_PYTHON, contained, exit_code
from harness.containment.limits import Limits
from harness.containment.returned import open_returned, plain_text, tail
from harness.containment.trial import NotContainedError, Reach
from harness.errors import ConfigError, ContainmentError
from harness.record import Containment
from harness.record.containment import Kind
from tests.containments import skip_unless_installed

HERE = Limits.for_model()


def kept(kind: str, **reach: bool) -> Containment:
    fields = {"network": False, "files": False, "processes": False, **reach}
    return Containment.model_validate({"kind": kind, **fields})


@pytest.fixture(autouse=True)
def chosen_anew(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv(choice.VARIABLE, raising=False)
    choice._choose.cache_clear()
    yield
    choice._choose.cache_clear()


# --- which one


def tried(monkeypatch: pytest.MonkeyPatch, works: dict[str, Reach]) -> None:
    def try_out(kind: str, *, on_gpu: bool) -> Reach:
        if kind not in works:
            raise NotContainedError("Operation not permitted")
        return works[kind]

    monkeypatch.setattr(choice, "try_out", try_out)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")


ALL, NONE = Reach(True, True, True), Reach(False, False, False)
FILES = Reach(False, True, False)


@pytest.mark.parametrize(
    ("works", "kind"),
    [
        ({"bubblewrap": NONE, "unshare": FILES}, "bubblewrap"),
        ({"unshare": FILES}, "unshare"),
        ({}, "limits"),
        # It starts, and lets everything through.
        ({"bubblewrap": ALL, "unshare": FILES}, "unshare"),
        ({"bubblewrap": Reach(False, False, True), "unshare": ALL}, "limits"),
    ],
)
def test_the_strongest_that_keeps_its_promise_is_taken(
    monkeypatch: pytest.MonkeyPatch, works: dict[str, Reach], kind: str
) -> None:
    tried(monkeypatch, works)
    found = choose()
    assert found.kind == kind
    assert (found.network, found.files) == (kind == "limits", kind != "bubblewrap")
    assert bool(weakness(found)) == (kind != "bubblewrap")


def test_a_weaker_one_says_what_it_leaves_open_why_and_what_to_do(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried(monkeypatch, {"unshare": FILES})
    said = weakness(choose())
    assert "by unshare alone and can reach this machine's files" in said
    assert "bubblewrap: Operation not permitted" in said
    assert "apt install bubblewrap" in said


def test_one_that_is_asked_for_and_does_not_work_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(choice.VARIABLE, "bubblewrap")
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(ContainmentError, match="bwrap is not installed") as caught:
        choose()
    assert caught.value.exit_code == 24


def test_one_that_is_asked_for_is_taken_though_a_stronger_one_works(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried(monkeypatch, {"bubblewrap": NONE, "unshare": FILES})
    for kind in ("unshare", "limits"):
        monkeypatch.setenv(choice.VARIABLE, kind)
        assert choose().kind == kind
        assert weakness(choose()) == ""


def test_an_unknown_one_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(choice.VARIABLE, "docker")
    with pytest.raises(ConfigError, match="one of auto, bubblewrap, unshare, limits"):
        choose()


def test_cuda_that_does_not_start_in_it_is_a_reason_against_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(trial, "_cuda_outside", lambda: 0)
    answer = {"network": False, "files": False, "processes": False, "cuda": 100}
    monkeypatch.setattr(trial, "_answer_of", lambda command: answer)
    with pytest.raises(NotContainedError, match="cuInit: 100"):
        trial.try_out("unshare", on_gpu=True)


def test_a_trial_finds_what_a_containment_lets_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(namespaces, "command", lambda **_: [])
    assert trial.try_out("unshare", on_gpu=False) == ALL


# --- what may be read


def test_an_environment_is_shown_with_the_python_it_is_made_from(tmp_path: Path) -> None:
    base = tmp_path / "python-3.11.9"
    (base / "lib" / "python3.11").mkdir(parents=True)
    (base / "lib" / "python3.11" / "os.py").touch()
    (base / "bin").mkdir()
    (base / "bin" / "python3.11").touch()
    alias = tmp_path / "python-3.11"
    alias.symlink_to("python-3.11.9")
    editable = tmp_path / "editable"
    editable.mkdir()
    site = tmp_path / "venv" / "lib" / "python3.11" / "site-packages"
    site.mkdir(parents=True)
    (site / "a.pth").write_text(f"import os\n# {tmp_path}\n{editable}\n/\nmissing\n")
    venv = tmp_path / "venv"
    (venv / "pyvenv.cfg").write_text(f"home = {alias / 'bin'}\n")
    (venv / "bin").mkdir()
    (venv / "bin" / "python").symlink_to(alias / "bin" / "python3.11")

    found = readable.interpreter_paths(venv / "bin" / "python")
    assert set(found) == {venv, alias, base, editable}


def test_a_link_to_an_interpreter_does_not_show_the_folder_it_lies_in(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / "bin").mkdir(parents=True)
    link = home / "bin" / "python"
    link.symlink_to(OWN_PYTHON)
    found = readable.interpreter_paths(link)
    assert home not in found
    assert link in found


def test_the_whole_file_system_is_never_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_READABLE", os.pathsep.join(["/", str(tmp_path), "/no/such"]))
    monkeypatch.delenv("LD_LIBRARY_PATH", raising=False)
    assert set(readable.named_by_user()) == {tmp_path, tmp_path.resolve()}
    assert Path("/") not in readable.interpreter_paths(Path("/bin/python3"))


def test_a_checkpoint_is_shown_with_the_files_that_its_links_name(tmp_path: Path) -> None:
    blob, folder = tmp_path / "blobs" / "0a", tmp_path / "snapshot"
    blob.parent.mkdir()
    blob.touch()
    folder.mkdir()
    (folder / "config.json").symlink_to("../blobs/0a")
    (folder / "gone").symlink_to("../blobs/1b")
    assert readable.with_targets(folder) == [folder, blob]


def test_only_what_is_named_is_bound(tmp_path: Path) -> None:
    names = ("cell", "given", "given/inner")
    for name in names:
        (tmp_path / name).mkdir()
    command = bubblewrap.command(
        tmp_path / "cell", tmp_path, [tmp_path / "given/inner", tmp_path / "given", Path("/usr/x")]
    )
    bound = [command[i + 1] for i, part in enumerate(command) if part.startswith("--ro-bind")]
    extra = [p for p in bound if p not in (*readable.SYSTEM, *readable.SYSTEM_FILES, "/sys")]
    assert extra == [str(tmp_path / "given")]
    written = [command[i + 1] for i, part in enumerate(command) if part == "--bind"]
    assert written == [str(tmp_path / name) for name in ("tmp", "shm", "cell")]


# --- limits


def test_a_checkpoint_may_be_saved_several_times_over(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"0" * 1000)
    limits = Limits.for_model(tmp_path)
    assert limits.file_bytes == HERE.file_bytes + 4000
    assert limits.folder_bytes == HERE.folder_bytes + 16000


def test_limits_are_in_place_before_the_program_starts() -> None:
    core = max(os.sched_getaffinity(0))
    settings = {"file_bytes": 4096, "tasks": 77, "cores": [core], "nice": 5}
    code = (
        "import json, os, resource as r; print(json.dumps([*r.getrlimit(r.RLIMIT_FSIZE), "
        "r.getrlimit(r.RLIMIT_NPROC)[0], r.getrlimit(r.RLIMIT_CORE)[0], len(os.sched_getaffinity(0)), "
        "os.getpriority(os.PRIO_PROCESS, 0), open('/proc/self/oom_score_adj').read().strip()]))"
    )
    command = [sys.executable, "-I", "-S", limited.__file__, json.dumps(settings)]
    done = subprocess.run(
        [*command, sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == [4096, 4096, 77, 0, 1, 5, "800"]


@pytest.mark.parametrize("kind", ["bubblewrap", "unshare", "limits"])
@pytest.mark.parametrize("code", [0, 1, 7, 200, -signal.SIGKILL, -signal.SIGSEGV, -40])
def test_an_exit_code_comes_through(tmp_path: Path, kind: Kind, code: int) -> None:
    skip_unless_installed(kind)
    act = (
        f"import os; os._exit({code})" if code >= 0 else f"import os; os.kill(os.getpid(), {-code})"
    )
    (tmp_path / "cell").mkdir()
    command = contained(
        kind,
        OWN_PYTHON,
        "-c",
        act,
        work_dir=tmp_path / "cell",
        scratch=tmp_path,
        read=(),
        limits=HERE,
    )
    done = subprocess.run(command, cwd=tmp_path / "cell", capture_output=True, check=False)
    assert exit_code(kind, done.returncode) == code


# --- what comes back


def test_a_link_in_place_of_a_file_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "output.txt").symlink_to("secret")
    assert tail(tmp_path / "output.txt", 100) == ""
    with pytest.raises(OSError, match="symbolic"):
        open_returned(tmp_path / "output.txt")


def test_the_end_of_a_text_is_kept_without_what_steers_a_terminal(tmp_path: Path) -> None:
    file = tmp_path / "output.txt"
    file.write_bytes(b"x" * 10_000 + b"\x1b[31mred\x1b[0m\r\n\x1b]0;title\x07\xff\tend\n")
    assert tail(file, 30) == "\N{REPLACEMENT CHARACTER}".join(
        ["red\n\n", "]0;title", "", "\tend\n"]
    )


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("a\tb\nc", "a\tb\nc"),
        ("1 %\r2 %", "1 %\n2 %"),
        ("\x1b[2J\x1b[1;1H", ""),
        ("ä\x9b", "ä\ufffd"),
    ],
)
def test_a_text_keeps_its_lines(text: str, plain: str) -> None:
    assert plain_text(text) == plain
