"""Profiles, detection and resolution of hardware, without a GPU and without torch."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pynvml
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.cpu_info import Cpu, native_bf16, read_cpu
from harness.errors import ConfigError, HardwareError
from harness.hardware import (
    Machine,
    Profile,
    describe_gpu,
    detect,
    load_profiles,
    profile,
    resolve,
    to_record,
)
from harness.matrix import load_matrix
from harness.nvml import Device, GpuProcess, read_devices, visible
from harness.payload.emulation import Profile as Shown
from harness.profiles import DEFAULT_PROFILES

GIB = 1 << 30


def device(name: str = "Tesla T4", capability: str = "7.5", **changes: Any) -> Device:
    fields: dict[str, Any] = {
        "uuid": "GPU-1111",
        "name": name,
        "compute_capability": capability,
        "memory_bytes": 15 * GIB,
        "memory_free_bytes": 14 * GIB,
        "driver": "580.65",
        "sm_clock_mhz": 585,
        "max_sm_clock_mhz": 1590,
        "foreign_processes": (),
    }
    return Device(**{**fields, **changes})


def machine(*devices: Device, bf16: bool = False) -> Machine:
    cpu = Cpu("Example CPU", cores=4, physical_cores=2, memory_bytes=16 * GIB, bf16=bf16)
    return Machine(cpu, tuple(describe_gpu(d) for d in devices))


class TestProfiles:
    def test_the_shipped_cards_have_bf16_exactly_from_ampere_on(self) -> None:
        without = [p.slug for p in load_profiles().values() if not p.bf16]

        assert without == ["cpu", "p100", "v100", "v100-32gb", "t4"]

    @given(st.integers(1, 12), st.integers(0, 9))
    def test_bf16_follows_from_the_capability_alone(self, major: int, minor: int) -> None:
        card = Profile(slug="x", names=("X",), compute_capability=f"{major}.{minor}")

        assert card.bf16 == (major >= 8)

    def test_an_unknown_slug_lists_the_known_ones(self) -> None:
        with pytest.raises(HardwareError, match=r"'t5'; known: cpu, .*t4"):
            profile("t5")

    def test_loaded_profiles_are_a_copy(self) -> None:
        load_profiles().clear()

        assert "t4" in load_profiles()

    def test_a_card_is_one_entry(self, tmp_path: Path) -> None:
        path = tmp_path / "hardware.toml"
        path.write_text(
            'schema = 1\n[profiles.x1]\nnames = ["NVIDIA X1"]\n'
            'compute_capability = "9.9"\nmemory_gib = 10\nsm_count = 3\n'
        )

        assert load_profiles(path)["x1"].memory_bytes == 10 * GIB

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("schema = 2\n[profiles.x]\n", "schema = 2"),
            ("schema = ", "not TOML"),
            ("schema = 1\n[profiles]\nx = 3\n", "profiles.x = 3"),
            ('schema = 1\n[profiles.x]\nnames = ["X"]\ncompute_capability = "7"\n', "'7'"),
            ('schema = 1\n[profiles.x]\nnames = ["X"]\nmemory_gib = -1\n', "-1"),
            ('schema = 1\n[profiles.x]\nnames = ["X"]\nbf16 = true\n', "bf16 = True"),
            ('schema = 1\n[profiles.x]\nnames = ["X"]\n', "a card has all three"),
            ('schema = 1\n[profiles.cpu]\nnames = ["X"]\nsm_count = 2\n', "the cpu none"),
            ('schema = 1\n[profiles.t4-emulated]\nnames = ["X"]\n', "t4-emulated"),
            ('schema = 1\n[profiles.t4-over-h100]\nnames = ["X"]\n', "t4-over-h100"),
            ('schema = 1\n[profiles.gpu]\nnames = ["X"]\n', "profiles.gpu"),
            ('schema = 1\n[profiles."X 1"]\nnames = ["X"]\n', "X 1"),
        ],
    )
    def test_a_bad_file_names_the_offending_value(
        self, tmp_path: Path, text: str, message: str
    ) -> None:
        path = tmp_path / "hardware.toml"
        path.write_text(text)

        with pytest.raises(ConfigError, match=message):
            load_profiles(path)

    def test_a_name_in_two_profiles_is_refused(self, tmp_path: Path) -> None:
        card = 'names = ["X"]\ncompute_capability = "8.0"\nmemory_gib = 1\nsm_count = 1\n'
        path = tmp_path / "hardware.toml"
        path.write_text(f"schema = 1\n[profiles.a]\n{card}[profiles.b]\n{card}")

        with pytest.raises(ConfigError, match="both name 'X'"):
            load_profiles(path)

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"none\.toml"):
            load_profiles(tmp_path / "none.toml")


class TestCpu:
    @pytest.mark.parametrize(
        ("flags", "architecture", "environ", "expected"),
        [
            ({"avx2"}, "x86_64", {}, False),
            ({"avx512_bf16"}, "x86_64", {}, True),
            ({"amx_bf16"}, "AMD64", {}, True),
            ({"bf16"}, "x86_64", {}, False),
            ({"bf16"}, "aarch64", {}, True),
            ({"amx_bf16"}, "aarch64", {}, False),
            ({"bf16"}, "riscv64", {}, False),
            ({"avx512_bf16"}, "x86_64", {"UNSLOTH_CPU_BF16": "0"}, False),
            ({"avx2"}, "x86_64", {"UNSLOTH_CPU_BF16": " ON "}, True),
            ({"avx2"}, "x86_64", {"UNSLOTH_CPU_BF16": "maybe"}, False),
        ],
    )
    def test_bf16_is_decided_as_unsloth_does(
        self, flags: set[str], architecture: str, environ: dict[str, str], expected: bool
    ) -> None:
        assert native_bf16(frozenset(flags), architecture, environ) is expected

    def test_limits_of_the_own_cgroup_and_of_those_above_bind(self, tmp_path: Path) -> None:
        proc, root = tmp_path / "proc", tmp_path / "cgroup"
        (proc / "self").mkdir(parents=True)
        (proc / "cpuinfo").write_text("model name\t: Example 9000\nflags\t\t: fpu avx512_bf16\n")
        (proc / "self" / "cgroup").write_text("0::/job/step\n")
        (root / "job" / "step").mkdir(parents=True)
        (root / "job" / "memory.max").write_text("1048576\n")
        (root / "job" / "step" / "memory.max").write_text("max\n")
        (root / "job" / "step" / "cpu.max").write_text("50000 100000\n")

        cpu = read_cpu(proc, root, {"UNSLOTH_CPU_BF16": "1"})

        assert cpu.model == "Example 9000"
        assert (cpu.memory_bytes, cpu.cores, cpu.bf16) == (1 << 20, 1, True)

    def test_cgroup_v1_limits_bind(self, tmp_path: Path) -> None:
        proc, root = tmp_path / "proc", tmp_path / "cgroup"
        (proc / "self").mkdir(parents=True)
        (proc / "self" / "cgroup").write_text("4:memory:/job\n2:cpu,cpuacct:/job\n")
        (root / "memory" / "job").mkdir(parents=True)
        (root / "memory" / "job" / "memory.limit_in_bytes").write_text("2097152\n")
        (root / "memory" / "memory.limit_in_bytes").write_text("9223372036854771712\n")

        assert read_cpu(proc, root, {}).memory_bytes == 2 << 20

    def test_a_kernel_that_tells_nothing_is_no_error(self, tmp_path: Path) -> None:
        cpu = read_cpu(tmp_path, tmp_path, {})

        assert cpu.model
        assert cpu.cores >= 1
        assert cpu.memory_bytes > 0


class FakeNvml(SimpleNamespace):
    """One T4 through the NVML calls that the harness makes."""

    class NVMLError(Exception):
        pass

    NVML_CLOCK_SM = 1

    def __init__(self, **broken: Any) -> None:
        super().__init__(
            nvmlInit=lambda: None,
            nvmlShutdown=lambda: None,
            nvmlSystemGetDriverVersion=lambda: b"580.65",
            nvmlDeviceGetCount=lambda: 1,
            nvmlDeviceGetHandleByIndex=lambda index: index,
            nvmlDeviceGetMemoryInfo=lambda _: SimpleNamespace(total=15 * GIB, free=14 * GIB),
            nvmlDeviceGetCudaComputeCapability=lambda _: (7, 5),
            nvmlDeviceGetComputeRunningProcesses=lambda _: [
                SimpleNamespace(pid=-7, usedGpuMemory=GIB)
            ],
            nvmlDeviceGetUUID=lambda _: "GPU-1111",
            nvmlDeviceGetName=lambda _: "Tesla T4",
            nvmlDeviceGetClockInfo=lambda *_: 585,
            nvmlDeviceGetMaxClockInfo=lambda *_: 1590,
        )
        self.__dict__.update(broken)


def refused(*_: Any) -> Any:
    raise FakeNvml.NVMLError("not supported")


class TestNvml:
    def test_a_gpu_is_read(self) -> None:
        expected = device(foreign_processes=(GpuProcess(-7, GIB),))

        assert read_devices(FakeNvml(), {}) == (expected,)

    @pytest.mark.parametrize("call", ["nvmlInit", "nvmlDeviceGetCount", "nvmlDeviceGetMemoryInfo"])
    def test_no_driver_means_no_gpus(self, call: str) -> None:
        assert read_devices(FakeNvml(**{call: refused}), {}) == ()

    def test_a_refused_clock_is_unknown(self) -> None:
        (found,) = read_devices(
            FakeNvml(nvmlDeviceGetClockInfo=refused, nvmlDeviceGetComputeRunningProcesses=refused),
            {},
        )

        assert (found.sm_clock_mhz, found.foreign_processes) == (None, ())

    @pytest.mark.parametrize(
        ("selection", "expected"),
        [
            (None, ["GPU-a1", "GPU-b2", "GPU-b3"]),
            ("", []),
            ("-1", []),
            ("1,0", ["GPU-b2", "GPU-a1"]),
            ("0,9,1", ["GPU-a1"]),
            ("0,0,1", ["GPU-a1"]),
            ("GPU-b3", ["GPU-b3"]),
            ("GPU-b", []),
            ("MIG-77", []),
        ],
    )
    def test_cuda_visible_devices_decides(self, selection: str | None, expected: list[str]) -> None:
        devices = [device(uuid=uuid) for uuid in ("GPU-a1", "GPU-b2", "GPU-b3")]

        assert [d.uuid for d in visible(devices, selection)] == expected


class TestResolve:
    def test_the_cpu_is_what_the_machine_says(self) -> None:
        target = resolve("cpu", machine(bf16=True))

        assert (target.kind, target.device, target.bf16) == ("native", "Example CPU", True)

    def test_a_present_card_is_native(self) -> None:
        target = resolve("t4", machine(device()))

        assert (target.kind, target.device, target.bf16) == ("native", "Tesla T4", False)
        assert target.gpu_uuid == "GPU-1111"

    def test_the_name_alone_does_not_make_the_card(self) -> None:
        with pytest.raises(HardwareError):
            resolve("a100", machine(device("Tesla T4", "8.0")))

    def test_an_absent_card_says_what_is_present_and_how_to_emulate(self) -> None:
        with pytest.raises(HardwareError, match=r"present: cpu, t4\. Use h100-emulated"):
            resolve("h100", machine(device()))

    def test_an_emulated_card_computes_on_the_cpu(self) -> None:
        target = resolve("a100-emulated", machine())

        assert (target.kind, target.device, target.bf16) == ("emulated", "Example CPU", True)
        assert target.gpu_uuid is None

    @pytest.mark.parametrize("slug", ["cpu-emulated", "t5-emulated", "t5", ""])
    def test_nonsense_is_refused(self, slug: str) -> None:
        with pytest.raises(HardwareError):
            resolve(slug, machine())

    def test_a_card_without_an_entry_is_selected_by_its_own_name(self) -> None:
        host = machine(device("NVIDIA RTX PRO 9999 (rev. 2)", "12.0", memory_bytes=96 * GIB))

        target = resolve("rtx-pro-9999-rev-2", host)

        assert (target.bf16, target.memory_bytes) == (True, 96 * GIB)

    def test_the_payload_is_told_what_the_emulation_needs(self) -> None:
        told = resolve("t4-emulated", machine()).for_payload()

        assert told == {
            "slug": "t4-emulated",
            "kind": "emulated",
            "on_gpu": False,
            "bf16": False,
            "name": "Tesla T4",
            "compute_capability": "7.5",
            "memory_bytes": 15 * GIB,
            "sm_count": 40,
        }

    def test_the_record_says_what_was_shown_and_what_computed(self) -> None:
        host = machine()

        info = to_record(resolve("t4-emulated", host), host, threads=1, parallel_cells=2)

        assert (info.name, info.kind, info.device) == ("t4-emulated", "emulated", "Example CPU")
        assert (info.compute_capability, info.bf16, info.parallel_cells) == ("7.5", False, 2)
        assert info.memory_bytes == 15 * GIB
        assert (info.driver, info.max_sm_clock_mhz) == (None, None)


H100 = device("NVIDIA H100 80GB HBM3", "9.0", uuid="GPU-h100", memory_bytes=79 * GIB)


class TestShownOver:
    def test_a_smaller_card_is_shown_over_the_gpu_that_computes(self) -> None:
        target = resolve("t4-over-h100", machine(device(), H100))

        assert (target.kind, target.device, target.bf16) == ("emulated", H100.name, False)
        assert (target.profile.slug, target.memory_bytes) == ("t4", 15 * GIB)
        assert (target.gpu_uuid, target.device_capability) == ("GPU-h100", "9.0")

    def test_the_payload_is_told_of_the_shown_card_and_that_a_gpu_computes(self) -> None:
        told = resolve("t4-over-h100", machine(H100)).for_payload()

        assert (told["kind"], told["on_gpu"], told["bf16"]) == ("emulated", True, False)
        assert (told["name"], told["compute_capability"]) == ("Tesla T4", "7.5")

    def test_the_record_names_both(self) -> None:
        host = machine(H100)

        info = to_record(resolve("t4-over-h100", host), host, threads=1, parallel_cells=1)

        assert (info.compute_capability, info.device_capability) == ("7.5", "9.0")
        assert (info.driver, info.max_sm_clock_mhz) == ("580.65", 1590)
        assert info.emulation == "emulated over NVIDIA H100 80GB HBM3"

    @pytest.mark.parametrize(
        ("slug", "devices", "message"),
        [
            ("t4-over-h100", [], r"no such GPU in this machine: h100.*Use t4-emulated"),
            ("t4-over-x9", [H100], "unknown hardware 'x9'"),
            ("t5-over-h100", [H100], "unknown hardware 't5'"),
            ("cpu-over-h100", [H100], "CPU is not emulated"),
            ("h100-over-t4", [device()], "capability 7.5 is below the 9.0 of .*memory 15.00 GiB"),
            ("a100-80gb-over-h100", [H100], r"memory 79\.00 GiB is below the 80\.00 GiB"),
            ("rtx-3090-over-a100", [device("A100-SXM4-40GB", "8.0")], "8.0 is below the 8.6"),
        ],
    )
    def test_what_cannot_be_shown_is_refused(
        self, slug: str, devices: list[Device], message: str
    ) -> None:
        with pytest.raises(HardwareError, match=message) as refusal:
            resolve(slug, machine(*devices))
        assert refusal.value.exit_code == 17

    def test_a_card_may_be_shown_over_one_without_an_entry(self) -> None:
        odd = device("Odd Card", "9.0", memory_bytes=99 * GIB)

        assert resolve("a100-over-odd-card", machine(odd)).device == "Odd Card"


@pytest.mark.parametrize(
    ("slug", "expected"),
    [("cpu", ""), ("t4", ""), ("t4-emulated", "emulated")],
)
def test_only_emulated_hardware_is_labelled(slug: str, expected: str) -> None:
    host = machine(device())

    assert to_record(resolve(slug, host), host, 1, 1).emulation == expected


def test_one_entry_is_enough_to_emulate_a_card(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = 'names = ["NVIDIA X1"]\ncompute_capability = "9.9"\nmemory_gib = 10\nsm_count = 3\n'
    path = tmp_path / "hardware.toml"
    path.write_text(DEFAULT_PROFILES.read_text(encoding="utf-8") + f"\n[profiles.x1]\n{entry}")
    monkeypatch.setattr("harness.profiles.DEFAULT_PROFILES", path)
    (matrix_cell,) = [load_matrix().cell("unsloth-2026.10.9/x1-emulated/auto/mild")]

    told = resolve(matrix_cell.hardware, machine()).for_payload()

    assert (told["kind"], told["on_gpu"], told["bf16"]) == ("emulated", False, True)
    assert Shown.of(told) == Shown("NVIDIA X1", (9, 9), 10 * GIB, 3)
    assert describe_gpu(device("NVIDIA X1", "9.9")).slug == "x1"


def test_detection_needs_no_torch() -> None:
    code = (
        "import sys; from harness.hardware import detect; detect(); print('torch' in sys.modules)"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "False"


def test_detection_matches_devices_to_profiles(monkeypatch: pytest.MonkeyPatch) -> None:
    found = (device(), device("Odd Card", "9.0"))
    monkeypatch.setattr("harness.hardware.read_devices", lambda: found)

    assert [gpu.slug for gpu in detect().gpus] == ["t4", "odd-card"]


def test_the_binding_in_use_has_every_call() -> None:
    calls = [name for name in vars(FakeNvml()) if name.startswith("nvml")]

    assert [name for name in calls if not hasattr(pynvml, name)] == []
