import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from filelock import FileLock

from harness import inspection
from harness.errors import ConfigError, StackBuildError, StorageError
from harness.inspection import inspect_environment
from harness.stacks import environments, uv_tool
from harness.stacks.stack import Stack
from harness.stacks.uv_tool import NoSolutionError, run_uv
from tests.unit.fake_uv import FakeUv, replace_uv

LOCK = "torch==2.13.0+cpu \\\n    --hash=sha256:aa\ntrl==1.0\n"
CPU = Stack("unsloth", "2026.1.4", "cpu", "3.11", LOCK, ("said",))
GPU = Stack("unsloth", "2026.1.4", "gpu", "3.11", LOCK, ())
CURRENT = Stack(
    "unsloth", "1", "cpu", "3.11", LOCK, (), alias="current", interpreter=Path(sys.executable)
)


@pytest.fixture
def uv(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeUv:
    return replace_uv(monkeypatch, tmp_path)


# --- building


def test_an_environment_is_built_once(uv: FakeUv) -> None:
    said: list[str] = []
    python = environments.ensure(CPU, said.append)
    assert python == environments.python_of(CPU)
    assert said == ["building unsloth-2026.1.4 (cpu): 2 packages"]
    assert environments.ensure(CPU, said.append) == python
    assert len(uv.installs()) == len(said) == 1


def test_the_manifest_says_what_was_built(uv: FakeUv) -> None:
    environments.ensure(CPU)
    manifest = json.loads((environments.folder_of(CPU) / "stack.json").read_text())
    assert manifest == {"name": "unsloth-2026.1.4", "where": "cpu", "overrides": ["said"]}


def test_only_what_has_the_locked_hash_is_installed(uv: FakeUv) -> None:
    environments.ensure(CPU)
    (install,) = uv.installs()
    assert {"--require-hashes", "--no-deps"} <= set(install)
    lock = Path(install[install.index("--requirement") + 1])
    assert lock.read_text() == LOCK


def test_an_interrupted_build_starts_over(uv: FakeUv) -> None:
    folder = environments.folder_of(CPU)
    folder.mkdir(parents=True)
    (folder / "half").touch()
    environments.ensure(CPU)
    assert environments.is_built(CPU)
    assert not (folder / "half").exists()


def test_a_failed_build_is_not_taken_for_built(uv: FakeUv) -> None:
    uv.offline = True
    with pytest.raises(StackBuildError, match=r"build stack unsloth-2026\.1\.4"):
        environments.ensure(CPU)
    assert not environments.is_built(CPU)


def test_stacks_that_differ_have_folders_of_their_own(uv: FakeUv) -> None:
    assert environments.folder_of(CPU) != environments.folder_of(GPU)


def test_a_gpu_machine_takes_torch_from_the_registry(
    uv: FakeUv, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_FIND_LINKS", "/wheels")
    environments.ensure(GPU)
    (install,) = uv.installs()
    assert not {"--find-links", "--torch-backend"} & set(install)


def test_without_wheels_of_its_own_a_cpu_takes_torch_from_pytorchs_index(uv: FakeUv) -> None:
    environments.ensure(CPU)
    assert uv.installs()[0][-2:] == ("--torch-backend", "cpu")


def test_wheels_set_for_pip_come_first_and_the_index_second(
    uv: FakeUv, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lacking(*arguments: str, purpose: str) -> str:
        uv(*arguments, purpose=purpose)
        if "--find-links" in arguments:
            raise StackBuildError("no wheel in /wheels")
        return ""

    monkeypatch.setattr(environments, "run_uv", lacking)
    monkeypatch.setenv("PIP_FIND_LINKS", "/wheels")
    environments.ensure(CPU)
    assert ["--find-links" in command for command in uv.installs()] == [True, False]


def test_both_failures_are_told(uv: FakeUv, monkeypatch: pytest.MonkeyPatch) -> None:
    def lacking(*arguments: str, purpose: str) -> str:
        if "--find-links" in arguments:
            raise StackBuildError("no wheel")
        if "--torch-backend" in arguments:
            raise StackBuildError("no index")
        return uv(*arguments, purpose=purpose)

    monkeypatch.setattr(environments, "run_uv", lacking)
    monkeypatch.setenv("PIP_FIND_LINKS", "/wheels")
    with pytest.raises(StackBuildError, match=r"no index\n.*no wheel"):
        environments.ensure(CPU)


def test_an_unusable_cache_says_which_setting_moves_it(
    uv: FakeUv, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "file"))
    with pytest.raises(StackBuildError, match="HARNESS_CACHE"):
        environments.ensure(CPU)


def test_a_full_disk_is_a_failed_build(uv: FakeUv, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, text: str) -> None:
        raise StorageError(28, f"cannot write {path}: No space left on device")

    monkeypatch.setattr(environments, "write_json_atomically", full)
    with pytest.raises(StackBuildError, match=r"No space left.*HARNESS_CACHE"):
        environments.ensure(CPU)
    assert not environments.is_built(CPU)


def test_a_build_that_takes_long_is_heard_of(uv: FakeUv, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*arguments: str, purpose: str) -> str:
        time.sleep(0.05)
        return uv(*arguments, purpose=purpose)

    monkeypatch.setattr(environments, "run_uv", slow)
    monkeypatch.setattr(environments, "_SAID_EVERY_S", 0.01)
    said: list[str] = []
    environments.ensure(CPU, said.append)
    assert said[1] == "building unsloth-2026.1.4 (cpu): not done after 0 s"
    told = len(said)
    time.sleep(0.05)
    assert len(said) == told


def test_a_build_by_another_process_is_waited_for_and_said(uv: FakeUv) -> None:
    folder = environments.folder_of(CPU)
    folder.parent.mkdir(parents=True)
    lock = FileLock(f"{folder}.lock")
    lock.acquire()
    said: list[str] = []

    def hear(message: str) -> None:
        said.append(message)
        lock.release()

    environments.ensure(CPU, hear)
    assert said[0] == "another process is building unsloth-2026.1.4 (cpu); waiting for it"
    assert environments.is_built(CPU)


def test_the_current_environment_is_never_built(uv: FakeUv) -> None:
    assert environments.is_built(CURRENT)
    assert environments.ensure(CURRENT) == environments.python_of(CURRENT) == Path(sys.executable)
    assert uv.commands == []


# --- uv itself


def answer(monkeypatch: pytest.MonkeyPatch, code: int, said: str) -> None:
    def run(command: list[str], **options: object) -> subprocess.CompletedProcess[str]:
        assert [path.name for path in Path(str(options["cwd"])).iterdir()] == ["uv.toml"]
        return subprocess.CompletedProcess(command, code, "out", said)

    monkeypatch.setattr(subprocess, "run", run)


def test_uv_answers_with_what_it_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    answer(monkeypatch, 0, "warning")
    assert run_uv("pip", "compile", purpose="x") == "out"


@pytest.mark.parametrize(
    ("code", "said", "error"),
    [
        (1, "error: No solution found when resolving", NoSolutionError),
        (1, "No solution found: the network was disabled", StackBuildError),
        (1, "hash mismatch", StackBuildError),
        (2, "error: Failed to fetch", StackBuildError),
    ],
)
def test_no_solution_is_told_from_no_network(
    monkeypatch: pytest.MonkeyPatch, code: int, said: str, error: type[StackBuildError]
) -> None:
    answer(monkeypatch, code, said)
    with pytest.raises(error, match="cannot lock it") as caught:
        run_uv("pip", "compile", purpose="lock it")
    assert type(caught.value) is error
    assert str(caught.value).endswith(said)


@pytest.fixture
def slow_uv(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "uv"
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setattr("uv.find_uv_bin", lambda: str(program))


def test_uv_has_a_time_limit(slow_uv: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_UV_TIMEOUT", "0.3")
    with pytest.raises(
        StackBuildError, match=r"cannot lock it.*0\.3 s.*HARNESS_UV_TIMEOUT=SECONDS"
    ):
        run_uv("pip", "compile", purpose="lock it")


@pytest.mark.parametrize("value", ["soon", "0", "-1", "nan"])
def test_a_time_limit_that_is_none_is_named(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_UV_TIMEOUT", value)
    with pytest.raises(ConfigError, match=f"HARNESS_UV_TIMEOUT = '{value}'"):
        run_uv("pip", "compile", purpose="lock it")


def test_settings_that_would_move_a_resolution_stay_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("UV_EXCLUDE_NEWER", "UV_PRERELEASE", "UV_OVERRIDE", "UV_FIND_LINKS"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("UV_CACHE_DIR", "kept")
    passed = uv_tool.environment()
    assert not {"UV_EXCLUDE_NEWER", "UV_PRERELEASE", "UV_OVERRIDE", "UV_FIND_LINKS"} & set(passed)
    assert passed["UV_CACHE_DIR"] == "kept"


def test_pips_index_serves_where_uv_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("UV_DEFAULT_INDEX", "UV_INDEX_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_INDEX_URL", "https://pip.example/simple")
    assert uv_tool.environment()["UV_DEFAULT_INDEX"] == "https://pip.example/simple"
    monkeypatch.setenv("UV_INDEX_URL", "https://uv.example/simple")
    assert "UV_DEFAULT_INDEX" not in uv_tool.environment()


def test_wheel_folders_of_uv_and_pip_are_both_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_FIND_LINKS", "/a,/b")
    monkeypatch.setenv("PIP_FIND_LINKS", "/c https://d")
    assert uv_tool.find_links()[1::2] == ["/a", "/b", "/c", "https://d"]


# --- inspection, of this very interpreter


def inspected(
    monkeypatch: pytest.MonkeyPatch, lock: str, modules: dict[str, tuple[str, ...]]
) -> inspection.Inspection:
    monkeypatch.setitem(inspection.IMPORTS, "unsloth", modules)
    stack = Stack("unsloth", "1", "cpu", "3.11", lock, (), interpreter=Path(sys.executable))
    return inspect_environment(stack)


def test_an_environment_as_locked_has_no_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    lock = f"pytest=={pytest.__version__}\n"
    found = inspected(monkeypatch, lock, {"json": ("loads",)})
    assert found.faults == ()
    assert found.versions["pytest"] == pytest.__version__
    assert found.import_s["json"] >= 0


def test_every_fault_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    lock = "pytest==0\nabsent-package==1\n"
    modules = {"json": ("nothing",), "no_such_module": (), "sys": ("path",)}
    found = inspected(monkeypatch, lock, modules)
    assert found.faults[0] == f"pytest is {pytest.__version__}, locked 0"
    assert found.faults[1] == "absent-package is not installed, locked 1"
    assert found.faults[2].startswith("import json: AttributeError")
    assert found.faults[3].startswith("import no_such_module: ModuleNotFoundError")
    assert len(found.faults) == 4


def test_a_python_that_dies_is_a_fault(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\necho broken >&2\nexit 3\n")
    python.chmod(0o755)
    stack = Stack("unsloth", "1", "cpu", "3.11", "", (), interpreter=python)
    assert inspect_environment(stack).faults == ("its Python exited 3: broken",)


@pytest.mark.parametrize("said", ["nothing", '{"versions": {}}', '{"versions": [], "imports": {}}'])
def test_an_answer_of_another_shape_is_a_fault(tmp_path: Path, said: str) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\necho '{said}'\n")
    python.chmod(0o755)
    stack = Stack("unsloth", "1", "cpu", "3.11", "", (), interpreter=python)
    (fault,) = inspect_environment(stack).faults
    assert fault.startswith("its answer is none: ")


def test_imports_that_hang_are_a_fault(tmp_path: Path) -> None:
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexec sleep 60\n")
    python.chmod(0o755)
    stack = Stack("unsloth", "1", "cpu", "3.11", "", (), interpreter=python)
    assert inspect_environment(stack, timeout_s=0.2).faults == ("its imports took more than 0.2 s",)
