import json
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.errors import ConfigError, InputError, StackBuildError, UnknownStackError
from harness.stacks import beside as beside_of
from harness.stacks import environments, wheel_downloads, wheelhouse, wheelhouse_export
from harness.stacks import stack as stacks
from harness.stacks.beside import Beside
from harness.stacks.stack import Stack, load_stack
from harness.stacks.stacks_file import Override
from harness.stacks.wheelhouse import Manifest, Wheel

HERE = ".".join(platform.python_version_tuple()[:2])
RELEASE = "unsloth-2026.10.9"


def wheel(package: str, version: str) -> Wheel:
    name = f"{package.replace('-', '_')}-{version}-py3-none-any.whl"
    return Wheel(package=package, version=version, file=name, sha256="0" * 64)


def locked() -> Stack:
    lock = "torch==2.14.1 --hash=a\ntrl==1.15.0 --hash=b\nunsloth==2026.10.9 --hash=c\nnvidia-nccl==2 --hash=d\nxformers==0.0.35 --hash=e\n"
    return Stack("unsloth", "2026.10.9", "gpu", "3.11", lock, ("resolved with certifi: why",))


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A wheelhouse of one stack, on a machine that has torch."""
    monkeypatch.setattr(wheelhouse, "machine_versions", lambda: {"torch": "2.11.0", "pip": "26"})
    wheels = (wheel("trl", "1.15.0"), wheel("unsloth", "2026.10.9"))
    manifest = Manifest(python=HERE, harness=(), stacks={RELEASE: wheels})
    (tmp_path / wheelhouse.MANIFEST).write_text(manifest.model_dump_json())
    return tmp_path


def test_a_stack_is_its_wheels_over_the_machines_packages(house: Path) -> None:
    made = wheelhouse.stack(locked(), house)
    assert made.versions == {"torch": "2.11.0", "trl": "1.15.0", "unsloth": "2026.10.9"}
    assert made.wheels == (
        house / "trl-1.15.0-py3-none-any.whl",
        house / "unsloth-2026.10.9-py3-none-any.whl",
    )
    assert made.python == platform.python_version()


def test_every_version_that_departs_from_the_lock_is_said(house: Path) -> None:
    said = wheelhouse.stack(locked(), house).overrides
    assert said == (
        "resolved with certifi: why",
        "2 packages from wheels, 1 as this machine has them, without hashes",
        "torch 2.11.0 of this machine in place of 2.14.1",
    )


def test_another_torch_of_the_machine_is_another_stack(
    house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = wheelhouse.stack(locked(), house).digest
    monkeypatch.setattr(wheelhouse, "machine_versions", lambda: {"torch": "2.12.0"})
    assert wheelhouse.stack(locked(), house).digest != before


def test_what_neither_has_is_named(house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wheelhouse, "machine_versions", dict)
    with pytest.raises(UnknownStackError, match=r"needs torch, .*--beside"):
        wheelhouse.stack(locked(), house)


def test_a_stack_that_was_not_exported_is_named(
    house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARNESS_WHEELHOUSE", str(house))
    stacks.reload()
    with pytest.raises(UnknownStackError, match=rf"holds {RELEASE}, not unsloth-2026\.10\.8"):
        load_stack("unsloth-2026.10.8", "gpu")
    stacks.reload()


def test_another_python_is_refused(house: Path) -> None:
    manifest = json.loads((house / wheelhouse.MANIFEST).read_text())
    (house / wheelhouse.MANIFEST).write_text(json.dumps({**manifest, "python": "3.9"}))
    with pytest.raises(ConfigError, match=f"for Python 3.9, this is {HERE}"):
        wheelhouse.stack(locked(), house)


def test_a_folder_that_is_no_wheelhouse_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="harness stack export"):
        wheelhouse.read_manifest(tmp_path / "nowhere")


class FakePip:
    """Stands in for subprocess.run, where pip would be."""

    def __init__(self, returncode: int = 0) -> None:
        self.command: list[str] = []
        self.returncode = returncode

    def __call__(self, command: list[str], **_: Any) -> Any:
        self.command = command
        return subprocess.CompletedProcess(command, self.returncode, "", "No module named pip")


def test_an_environment_sees_the_machines_packages_behind_its_own(
    house: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pip = FakePip()
    monkeypatch.setattr(subprocess, "run", pip)
    monkeypatch.setattr(wheelhouse, "machine_paths", lambda: ["/opt/torch/site-packages"])
    folder = tmp_path / "built"
    wheelhouse.build(wheelhouse.stack(locked(), house), folder)
    (link,) = folder.glob("lib/python*/site-packages/_machine.pth")
    assert link.read_text() == "/opt/torch/site-packages\n"
    assert "--no-index" in pip.command
    assert pip.command[-1] == str(house / "unsloth-2026.10.9-py3-none-any.whl")


def test_a_failed_build_ends_with_pips_words(
    house: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(subprocess, "run", FakePip(1))
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    stack = wheelhouse.stack(locked(), house)
    with pytest.raises(StackBuildError, match="No module named pip"):
        environments.ensure(stack)
    assert not environments.is_built(stack)


# --- export


@pytest.fixture
def downloads(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """Wheels appear as pip would bring them; the commands."""
    commands: list[tuple[str, ...]] = []

    def run_uv(*arguments: str, purpose: str) -> str:
        commands.append(arguments)
        if arguments[0] == "build":
            folder = next(a for a in arguments if a.startswith("--out-dir=")).partition("=")[2]
            (Path(folder) / "gemma_lora_gate-0.1.0-py3-none-any.whl").write_bytes(b"us")
            return ""
        dest = Path(next(a for a in arguments if a.startswith("--dest=")).partition("=")[2])
        for pin in (a for a in arguments if "==" in a):
            name, version = pin.split("==")
            (dest / wheel(name, version).file).write_bytes(pin.encode())
        return ""

    monkeypatch.setattr(wheelhouse_export, "run_uv", run_uv)
    monkeypatch.setattr(wheel_downloads, "run_uv", run_uv)
    return commands


def list_of(tmp_path: Path, text: str) -> Beside:
    (tmp_path / "freeze.txt").write_text(text)
    return beside_of.read(tmp_path / "freeze.txt")


def export(
    house: Path, beside: Beside, overrides: Sequence[Override] = (), stack: Stack | None = None
) -> Manifest:
    return wheelhouse_export.export([stack or locked()], house, "3.12", beside, print, overrides)


def test_what_the_machine_has_is_left_out(tmp_path: Path, downloads: list[tuple[str, ...]]) -> None:
    beside = list_of(tmp_path, "TRL\npsutil==99  # a comment\nlocal @ file:///x\n")
    made = export(tmp_path / "house", beside)
    assert [w.package for w in made.stacks[RELEASE]] == ["unsloth"]
    names = {w.package for w in made.harness}
    assert {"gemma-lora-gate", "pydantic", "platformdirs"} <= names
    assert not {"trl", "psutil", "uv", "torch"} & names
    assert any("--python-version=3.12" in command for command in downloads)


def test_what_decides_how_a_fine_tune_runs_comes_as_the_lock_has_it(
    tmp_path: Path, downloads: list[tuple[str, ...]]
) -> None:
    other, same = list_of(tmp_path, "trl==1.14.0"), list_of(tmp_path, "trl==1.15.0")
    assert "trl" in {w.package for w in export(tmp_path, other).stacks[RELEASE]}
    assert "trl" not in {w.package for w in export(tmp_path, same).stacks[RELEASE]}


def test_what_only_carries_the_fine_tune_stays_the_machines(
    tmp_path: Path, downloads: list[tuple[str, ...]]
) -> None:
    stack = replace(locked(), lock="numpy==2.4.6 --hash=a\nunsloth==2026.10.9 --hash=b\n")
    made = export(tmp_path, list_of(tmp_path, "numpy==2.5.2"), stack=stack)
    assert [w.package for w in made.stacks[RELEASE]] == ["unsloth"]


def test_a_package_of_the_machine_keeps_what_came_with_it(
    tmp_path: Path, downloads: list[tuple[str, ...]]
) -> None:
    """pydantic wants one pydantic-core: that of another pydantic beside it would not import."""
    made = export(tmp_path, list_of(tmp_path, "pydantic==2.99.0\npydantic-core==2.99.1"))
    assert not {"pydantic", "pydantic-core"} & {w.package for w in made.harness}


def test_a_package_of_the_machine_that_is_too_old_for_the_harness_is_brought(
    tmp_path: Path, downloads: list[tuple[str, ...]]
) -> None:
    made = export(tmp_path, list_of(tmp_path, "pydantic==1.10.0"))
    assert "pydantic" in {w.package for w in made.harness}


def test_an_override_is_brought_in_place_of_the_locks_and_said_with_its_reason(
    tmp_path: Path, downloads: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    overrides = [
        Override(requirement="trl==9.9", reason="the card's CUDA"),
        Override(requirement="absent==1", reason="no lock has it"),
    ]
    made = wheelhouse_export.export([locked()], tmp_path, HERE, Beside({}), print, overrides)
    assert [w.version for w in made.stacks[RELEASE] if w.package == "trl"] == ["9.9"]
    assert "absent" not in {w.package for w in made.stacks[RELEASE]}
    monkeypatch.setattr(wheelhouse, "machine_versions", lambda: {"torch": "2.14.1"})
    said = wheelhouse.stack(locked(), tmp_path).overrides
    assert "trl 9.9 in place of 1.15.0: the card's CUDA" in said


def test_what_of_torch_the_machine_lacks_is_said_at_the_desk(
    tmp_path: Path, downloads: list[tuple[str, ...]], capsys: pytest.CaptureFixture[str]
) -> None:
    export(tmp_path, list_of(tmp_path, "numpy==2.5.2"))
    assert f"{RELEASE} needs torch, which the machine's list has not" in capsys.readouterr().out
    export(tmp_path, list_of(tmp_path, "torch==2.11.0"))
    assert "needs torch" not in capsys.readouterr().out


def test_an_override_without_a_version_is_refused(
    tmp_path: Path, downloads: list[tuple[str, ...]]
) -> None:
    with pytest.raises(ConfigError, match="NAME==VERSION"):
        export(tmp_path, Beside({}), [Override(requirement="trl", reason="why")])


def test_the_manifest_names_the_commit_of_the_harness_or_none(
    tmp_path: Path, downloads: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wheelhouse_export, "commit_of", lambda tree: "c0ffee")
    export(tmp_path, Beside({}))
    assert wheelhouse.read_manifest(tmp_path).commit == "c0ffee"


def test_export_again_downloads_nothing_twice(
    tmp_path: Path, downloads: list[tuple[str, ...]]
) -> None:
    for _ in range(2):
        export(tmp_path, Beside({}))
    fetched = [command for command in downloads if command[0] == "run"]
    assert len(fetched) == 2  # the stack's, the harness's


def test_the_script_installs_the_harness_and_names_the_house(
    tmp_path: Path, downloads: list[tuple[str, ...]]
) -> None:
    export(tmp_path, Beside({}))
    script = tmp_path / wheelhouse_export.SCRIPT
    assert '"$house"/gemma_lora_gate-0.1.0-py3-none-any.whl' in script.read_text()
    subprocess.run(["bash", "-n", script], check=True)


def test_a_missing_list_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="pip freeze"):
        beside_of.read(tmp_path / "nowhere")
