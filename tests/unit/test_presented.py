"""A card shown over a bigger GPU: the decisions, with a torch.cuda that answers as an H100 would."""

import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from harness.payload.emulation import Profile
from harness.payload.emulation.presented import ShownProperties, memory_left, show

GIB = 1 << 30
T4 = Profile("Tesla T4", (7, 5), 15 * GIB, 40)
L4 = Profile("NVIDIA L4", (8, 9), 22 * GIB, 58)
REAL = SimpleNamespace(
    name="NVIDIA H100", major=9, minor=0, total_memory=80 * GIB, multi_processor_count=132
)


class Cuda(ModuleType):
    """The part of torch.cuda that is asked, before its context is made."""

    def __init__(self) -> None:
        super().__init__("torch.cuda")
        self.memory = SimpleNamespace(mem_get_info=None)
        self.queued: list[Callable[[], None]] = []
        self.fractions: list[float] = []
        self._lazy_call = self.queued.append
        self.set_per_process_memory_fraction = self.fractions.append

    def get_device_properties(self, device: Any = None) -> Any:
        return REAL

    def mem_get_info(self, device: Any = None) -> tuple[int, int]:
        return 70 * GIB, 80 * GIB

    def current_device(self) -> int:
        return 0

    def device_count(self) -> int:
        return 1


class Torch(SimpleNamespace):
    """A torch whose inductor and Triton take the capability where the real ones do."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        cuda = Cuda()

        class Worker:
            @staticmethod
            def get_device_properties(device: Any = None) -> Any:
                return interface.caching_worker_device_properties["cuda"][0]

        class CudaInterface:
            @staticmethod
            def get_compute_capability(device: Any = None) -> int:
                shown = cuda.get_device_properties(device)
                return int(shown.major * 10 + shown.minor)

            get_device_properties = staticmethod(cuda.get_device_properties)

        class GPUDriver:
            def __init__(self) -> None:
                self.get_device_capability: Any = lambda device: tuple(
                    getattr(cuda.get_device_properties(device), part) for part in ("major", "minor")
                )

        CudaInterface.Worker = Worker  # type: ignore[attr-defined]
        interface = SimpleNamespace(
            CudaInterface=CudaInterface, caching_worker_device_properties={}
        )
        super().__init__(cuda=cuda, interface=CudaInterface, driver=GPUDriver, switched_off=[])
        torch: Any = ModuleType("torch")
        torch.cuda = cuda
        torch.accelerator = self.accelerator = SimpleNamespace(get_memory_info=cuda.mem_get_info)
        torch.backends = SimpleNamespace(
            cuda=SimpleNamespace(
                enable_flash_sdp=lambda on: self.switched_off.append(f"flash {on}"),
                enable_cudnn_sdp=lambda on: self.switched_off.append(f"cudnn {on}"),
            )
        )
        dynamo: Any = ModuleType("torch._dynamo")
        dynamo.device_interface = interface
        driver: Any = ModuleType("triton.backends.driver")
        driver.GPUDriver = GPUDriver
        patch.setitem(sys.modules, "torch", torch)
        patch.setitem(sys.modules, "torch._dynamo", dynamo)
        patch.setitem(sys.modules, "triton.backends.driver", driver)
        # What `show` sets in the process must not outlive the test.
        patch.setenv("NVIDIA_TF32_OVERRIDE", "unset")


@pytest.fixture
def torch(monkeypatch: pytest.MonkeyPatch) -> Torch:
    return Torch(monkeypatch)


def test_the_shown_card_answers_and_the_real_one_for_the_rest() -> None:
    shown = ShownProperties(T4, SimpleNamespace(name="NVIDIA H100", major=9, warp_size=32))

    assert (shown.name, shown.major, shown.minor) == ("Tesla T4", 7, 5)
    assert (shown.total_memory, shown.multi_processor_count) == (15 * GIB, 40)
    assert shown.warp_size == 32
    with pytest.raises(AttributeError):
        _ = shown.L3_cache_size


@pytest.mark.parametrize(
    ("real_free", "left"), [(80, 15), (79, 14), (66, 1), (65, 0), (10, 0), (0, 0)]
)
def test_what_is_held_is_missing_from_the_shown_memory(real_free: int, left: int) -> None:
    assert memory_left(15 * GIB, real_free * GIB, 80 * GIB) == (left * GIB, 15 * GIB)


def test_torch_answers_for_the_shown_card(torch: Torch) -> None:
    show(T4)

    assert torch.cuda.get_device_properties(0).name == "Tesla T4"
    assert torch.cuda.mem_get_info() == (5 * GIB, 15 * GIB)
    assert torch.cuda.memory.mem_get_info() == (5 * GIB, 15 * GIB)
    assert torch.accelerator.get_memory_info() == (5 * GIB, 15 * GIB)


def test_code_is_generated_for_the_gpu_that_runs_it(torch: Torch) -> None:
    show(T4)

    assert torch.interface.get_compute_capability() == 90
    assert torch.interface.get_device_properties(0).multi_processor_count == 132
    assert torch.interface.Worker.get_device_properties(0).name == "NVIDIA H100"
    assert torch.driver().get_device_capability(0) == (9, 0)


def test_memory_ends_where_the_shown_card_ends_once_there_is_a_context(torch: Torch) -> None:
    show(T4)

    assert torch.cuda.fractions == []
    torch.cuda.queued.pop()()
    assert torch.cuda.fractions == [15 / 80]


@pytest.mark.parametrize(
    ("profile", "off", "tf32"), [(T4, ["flash False", "cudnn False"], "0"), (L4, [], "unset")]
)
def test_what_only_the_real_card_has_is_off(
    torch: Torch, profile: Profile, off: list[str], tf32: str
) -> None:
    import os

    show(profile)

    assert torch.switched_off == off
    assert os.environ["NVIDIA_TF32_OVERRIDE"] == tf32
