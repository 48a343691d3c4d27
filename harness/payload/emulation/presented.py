"""A smaller card's answers over the real GPU that computes.

The questions about the card are answered from its profile, so the library decides as it would there.
Code is generated for the GPU that runs it: Triton and inductor are told the real compute capability.
What the smaller card lacks and torch would use of its own accord (TF32, flash attention) is off, and
torch's allocator ends where the smaller card's memory does.
"""

import importlib
import os
from typing import Any

from .profile import Profile

AMPERE = (8, 0)
"""First compute capability with TF32 and with the kernels of flash attention."""


class ShownProperties:
    """`torch.cuda.get_device_properties`: the profile's answers, and the real GPU's for the rest.

    What the profile does not say (shared memory, warp size) limits kernels, and they run on the real
    one.
    """

    def __init__(self, profile: Profile, real: Any) -> None:
        self._real = real
        self.name = profile.name
        self.major, self.minor = profile.capability
        self.total_memory = profile.memory_bytes
        self.multi_processor_count = profile.sm_count

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def memory_left(shown_bytes: int, real_free: int, real_bytes: int) -> tuple[int, int]:
    """Return (free, total) bytes of the shown card when the real one has `real_free` of `real_bytes`."""
    held = real_bytes - real_free
    return max(shown_bytes - held, 0), shown_bytes


def show(profile: Profile) -> None:
    """Let torch answer for the profile, and everything that generates code for the real GPU."""
    if profile.capability < AMPERE:
        # Read by cuBLAS and cuDNN, whatever a library sets in torch.
        os.environ["NVIDIA_TF32_OVERRIDE"] = "0"
    import torch

    cuda = torch.cuda
    real_properties, real_memory = cuda.get_device_properties, cuda.mem_get_info

    def get_device_properties(device: Any = None) -> ShownProperties:
        return ShownProperties(profile, real_properties(device))

    def mem_get_info(device: Any = None) -> tuple[int, int]:
        return memory_left(profile.memory_bytes, *real_memory(device))

    def limit_memory() -> None:
        total = real_properties(cuda.current_device()).total_memory
        cuda.set_per_process_memory_fraction(min(profile.memory_bytes / total, 1.0))

    cuda.get_device_properties = get_device_properties
    cuda.mem_get_info = cuda.memory.mem_get_info = mem_get_info
    accelerator = getattr(torch, "accelerator", None)
    if accelerator is not None and hasattr(accelerator, "get_memory_info"):
        accelerator.get_memory_info = mem_get_info
    # Not before the library has set its allocator's options and made the context.
    cuda._lazy_call(limit_memory)
    if profile.capability < AMPERE:
        torch.backends.cuda.enable_flash_sdp(False)
        if hasattr(torch.backends.cuda, "enable_cudnn_sdp"):
            torch.backends.cuda.enable_cudnn_sdp(False)
    _generate_for_the_real_gpu(real_properties)


def _generate_for_the_real_gpu(real_properties: Any) -> None:
    # Machine code for the smaller card's architecture would not load on this one.
    def capability(device: Any = None) -> tuple[int, int]:
        real = real_properties(device)
        return real.major, real.minor

    _tell_inductor(real_properties, capability)
    _tell_triton(capability)


def _tell_inductor(real_properties: Any, capability: Any) -> None:
    from torch._dynamo import device_interface

    interface = device_interface.CudaInterface
    ask_worker = interface.Worker.get_device_properties

    def get_compute_capability(device: Any = None) -> int:
        major, minor = capability(device)
        return int(major) * 10 + int(minor)

    def get_device_properties(device: Any = None) -> Any:
        # Filled here, asked in torch's compile workers, which must not touch the driver.
        known = device_interface.caching_worker_device_properties
        if "cuda" not in known:
            import torch

            known["cuda"] = [real_properties(i) for i in range(torch.cuda.device_count())]
        return ask_worker(device)

    interface.get_compute_capability = staticmethod(get_compute_capability)
    interface.get_device_properties = staticmethod(real_properties)
    interface.Worker.get_device_properties = staticmethod(get_device_properties)


def _tell_triton(capability: Any) -> None:
    try:
        driver = importlib.import_module("triton.backends.driver").GPUDriver
    except ImportError:
        return
    start = driver.__init__

    def init(self: Any) -> None:
        start(self)
        self.get_device_capability = capability

    driver.__init__ = init
