"""A release that means harm: what it reaches is what its record says, and whatever it does is a result."""

import socket
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.locations import PACKAGE
from harness.record import Record
from harness.record.containment import Kind
from tests.containments import skip_unless_installed
from tests.survival.conftest import Figures
from tests.survival.scene import Ended, Scene

SECRET = "hf_not_for_a_release"
KINDS = ["bubblewrap", "unshare", "limits"]
WEAKER = [pytest.param(kind, marks=pytest.mark.enduring) for kind in KINDS[1:]]
in_each = pytest.mark.parametrize("kind", ["bubblewrap", *WEAKER], indirect=True)


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """One cell whose user has secrets: in a variable, in the home folder, in the reports."""
    made = Scene.make(tmp_path / "scene", cells=1, timeout_s=8)
    home = made.root / "home"
    home.mkdir()
    (home / ".netrc").write_text(f"machine example.org password {SECRET}")
    made.extra |= {"HOME": str(home), "HF_TOKEN": SECRET, "AWS_SECRET_ACCESS_KEY": SECRET}
    return made


@pytest.fixture
def kind(request: pytest.FixtureRequest, scene: Scene) -> str:
    kind: Kind = request.param
    skip_unless_installed(kind)
    scene.extra["HARNESS_CONTAINMENT"] = kind
    return kind


@pytest.fixture
def listener() -> Iterator[int]:
    """A port of loopback where somebody would listen."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=_accept, args=(server,), daemon=True)
        thread.start()
        yield int(server.getsockname()[1])
        server.shutdown(socket.SHUT_RDWR)


def _accept(server: socket.socket) -> None:
    try:
        while True:
            server.accept()[0].close()
    except OSError:
        pass


def run(scene: Scene, act: str) -> tuple[Ended, Record]:
    """Run the cell with an act in the middle of its training."""
    fault = scene.root / "hostile.py"
    fault.write_text(act)
    ended = scene.end(scene.run_command("--fault", str(fault)))
    assert "Traceback" not in ended.output
    (record,) = scene.records()
    return ended, record


def said(record: Record) -> str:
    assert record.failure is not None
    return record.failure.message


SEARCH = """
import os, socket
from pathlib import Path

secret, found = "hf_not" + "_for_a_release", []
def look(name, read):
    try:
        if secret in str(read()):
            found.append(name)
    except OSError:
        pass
look("variables", lambda: dict(os.environ))
look("home", lambda: Path("~/.netrc").expanduser().read_text())
look("files", lambda: Path({home!r}, ".netrc").read_text())
for pid in os.listdir("/proc"):
    if pid.isdigit():
        look("processes", lambda: Path("/proc", pid, "environ").read_bytes())
def connect():
    with socket.create_connection(("127.0.0.1", {port}), timeout=3):
        return secret
look("network", connect)
raise RuntimeError("reached: " + " ".join(sorted(set(found))) + ".")
"""


@pytest.mark.parametrize("kind", KINDS, indirect=True)
def test_it_reaches_what_its_record_says_and_no_secret_is_in_its_surroundings(
    scene: Scene, kind: str, listener: int, figures: Figures
) -> None:
    _, record = run(scene, SEARCH.format(home=str(scene.root / "home"), port=listener))
    assert record.status == "CRASHED"
    assert record.containment is not None
    assert record.containment.kind == kind
    reaches = sorted(record.containment.reaches)
    assert said(record) == f"reached: {' '.join(reaches)}."
    figures.add(
        f"a release that looks for secrets and a network, in {kind}",
        "variables, ~, the user's home, /proc, a socket",
        f"it finds {', '.join(reaches) or 'nothing'}, as the record says",
    )


PLANT = """
from pathlib import Path
for folder in {folders!r}:
    try:
        Path(folder, {name!r}).write_text("x")
    except OSError:
        pass
"""


def test_it_writes_nowhere_but_in_its_folder(scene: Scene, figures: Figures) -> None:
    skip_unless_installed("bubblewrap")
    stack = next(path for path in (scene.root / "cache" / "stacks").iterdir() if path.is_dir())
    names = ("home", "reports", "cache", "baselines", "shown", "cache/models")
    folders = [*(scene.root / name for name in names), stack, stack / "bin", PACKAGE / "payload"]
    folders += [Path(path) for path in ("/", "/usr", "/etc", "/var/tmp", tempfile.gettempdir())]
    name = f"planted-by-{scene.root.parent.name}"
    _, record = run(scene, PLANT.format(folders=list(map(str, folders)), name=name))
    assert record.status == "COMPLETED"
    assert [folder for folder in folders if (folder / name).exists()] == []
    assert list(scene.root.rglob(name)) == []
    figures.add(
        "a release that writes outside its folder",
        f"{len(folders)} folders, its own stack, model and payload among them",
        "nothing is there afterwards",
    )


@in_each
def test_it_forks_for_ever(scene: Scene, kind: str, figures: Figures) -> None:
    act = "import os, time\nwhile True:\n    if os.fork() == 0:\n        time.sleep(600)\n"
    ended, record = run(scene, act)
    assert record.failure is not None
    assert (record.status, record.failure.kind) == ("CRASHED", "processes limit")
    assert ended.code == 1
    silence = scene.wait_for_silence()
    assert scene.leftovers() == []
    figures.add(
        f"a release that forks for ever, in {kind}",
        said(record),
        f"CRASHED (processes limit); none is left after {silence:.1f} s",
    )


DAEMON = """
import os, signal, time
for number in range(signal.SIGRTMAX):
    try:
        signal.signal(number, signal.SIG_IGN)
    except (OSError, ValueError):
        pass
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(600)
    os._exit(0)
time.sleep(600)
"""


@in_each
def test_it_never_ends_and_leaves_a_daemon(scene: Scene, kind: str, figures: Figures) -> None:
    _, record = run(scene, DAEMON)
    assert record.status == "TIMEOUT"
    silence = scene.wait_for_silence()
    assert scene.leftovers() == []
    figures.add(
        f"a release that never ends, and leaves a daemon, in {kind}",
        "all signals ignored, a session of its own",
        f"TIMEOUT; none is left after {silence:.1f} s",
    )


def test_its_record_never_ends(scene: Scene, figures: Figures) -> None:
    act = "import payload.events as e\nlog = e.EventLog(job.events_file)\n"
    act += "while True:\n    log.emit('failure', phase='x', kind='y', message='m' * (1 << 20))\n"
    ended, record = run(scene, act)
    assert record.failure is not None
    assert (record.status, record.failure.kind) == ("CRASHED", "answer limit")
    (file,) = scene.record_files()
    size = file.stat().st_size
    assert size < 1 << 20
    figures.add(
        "a record of 10 GB",
        said(record),
        f"CRASHED (answer limit) after {ended.seconds:.1f} s; the record has {size >> 10} KiB",
    )


@in_each
def test_a_file_of_ten_gigabytes_cannot_be_written(scene: Scene, kind: str) -> None:
    _, record = run(scene, "open('large', 'w').truncate(10 << 30)")
    assert record.status == "CRASHED"
    assert "File too large" in said(record)


@pytest.mark.parametrize(
    "line",
    [
        '{"event": "step", "step": "../../../etc/passwd"}',
        '{"event": "rows", "<script>alert(1)</script>": {}}',
        '{"event": "import os; os.remove()"}',
        "cos\\nsystem\\n(S'true'\\ntR.",
    ],
    ids=["path", "script", "code", "pickle"],
)
def test_what_is_no_event_is_not_believed(scene: Scene, line: str) -> None:
    act = f"import time\nopen(job.events_file, 'a').write({line + chr(10)!r})\ntime.sleep(60)"
    _, record = run(scene, act)
    assert record.failure is not None
    assert (record.status, record.failure.kind) == ("CRASHED", "answer limit")
    assert record.duration_s < 5


SPOILED = """
import os
for name in ("output.txt", "first_step.safetensors"):
    if os.path.lexists(name):
        os.remove(name)
    os.symlink({secret!r}, name)
raise RuntimeError("<script>alert(1)</script> [x](javascript:alert(1)) \\x1b[2J ../../../planted")
"""


@in_each
def test_paths_links_and_script_in_a_record_stay_text(scene: Scene, kind: str) -> None:
    _, record = run(scene, SPOILED.format(secret=str(scene.root / "home" / ".netrc")))
    assert said(record).startswith("<script>alert(1)</script>")
    kept = [path for path in (scene.root / "reports").rglob("*") if path.is_file()]
    for path in kept:
        text = path.read_text(errors="replace")
        assert SECRET not in text, path
        assert "\x1b" not in text, path
        if path.suffix in (".html", ".md"):
            assert "<script>alert" not in text, path
        if path.suffix == ".md":
            assert "[x](javascript:" not in text, path
