"""The CUDA runtime without a driver: streams, events, memory statistics, random states.

All work is done by the time a call returns, in one order, so waiting is a no-op and every stream is
the same stream.
"""

import contextlib
import sys
import types
from collections.abc import Iterator
from typing import Any

import torch

from .devices import constant, replace

_NOTHING = (
    "init",
    "set_device",
    "set_stream",
    "synchronize",
    "empty_cache",
    "ipc_collect",
    "reset_peak_memory_stats",
    "reset_max_memory_allocated",
    "set_per_process_memory_fraction",
    "manual_seed",
    "manual_seed_all",
    "seed",
    "seed_all",
    "set_rng_state",
    "set_rng_state_all",
)
_NO_MEMORY = (
    "memory_allocated",
    "max_memory_allocated",
    "memory_reserved",
    "max_memory_reserved",
)


class Stream:
    """The only stream."""

    cuda_stream = 0
    stream_id = 0
    device_index = 0
    priority = 0
    device = torch.device("cpu")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def __enter__(self) -> "Stream":
        return self

    def __exit__(self, *exception: object) -> None:
        pass

    def synchronize(self, *args: Any) -> None:
        """Return at once: nothing is pending."""

    wait_stream = wait_event = synchronize

    def record_event(self, event: Any = None) -> "Event":
        """Return an event that has already happened."""
        return event or Event()

    def query(self) -> bool:
        """Whether all work is done."""
        return True

    def is_capturing(self) -> bool:
        """Whether a CUDA graph is being captured."""
        return False


class Event:
    """An event that has already happened. It measures no time: there is no GPU to measure."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        pass

    def record(self, *args: Any) -> None:
        """Do nothing."""

    wait = synchronize = record

    def query(self) -> bool:
        """Whether it has happened."""
        return True


class DeviceGuard:
    """`torch.cuda.device`: there is one device to choose."""

    def __init__(self, *args: Any) -> None:
        self.idx, self.prev_idx = 0, -1

    def __enter__(self) -> "DeviceGuard":
        return self

    def __exit__(self, *exception: object) -> None:
        pass


def stand_in() -> None:
    """Let the runtime's calls succeed without a driver."""
    only = Stream()

    @contextlib.contextmanager
    def stream(*args: Any, **kwargs: Any) -> Iterator[Stream]:
        yield only

    cuda = torch.cuda
    for name in _NOTHING:
        replace(cuda, name, constant(None))
    for name in _NO_MEMORY:
        replace(cuda, name, constant(0))
        replace(cuda.memory, name, getattr(cuda, name))
    for name in ("empty_cache", "reset_peak_memory_stats"):
        replace(cuda.memory, name, getattr(cuda, name))
    replace(cuda, "memory_stats", constant({}))
    replace(cuda.memory, "memory_stats", cuda.memory_stats)
    # The CPU generator draws everything; a second state to save and restore would be of nothing.
    replace(cuda, "get_rng_state", constant(torch.empty(0, dtype=torch.uint8)))
    replace(cuda, "get_rng_state_all", constant([]))
    replace(cuda, "initial_seed", constant(0))
    for name in ("get_rng_state", "get_rng_state_all", "set_rng_state", "set_rng_state_all"):
        replace(cuda.random, name, getattr(cuda, name))
    replace(cuda, "Stream", Stream)
    replace(cuda, "Event", Event)
    replace(cuda, "device", DeviceGuard)
    replace(cuda, "device_of", DeviceGuard)
    replace(cuda, "stream", stream)
    replace(cuda, "current_stream", constant(only))
    replace(cuda, "default_stream", constant(only))
    replace(cuda, "is_current_stream_capturing", constant(False))
    _low_level(only)


def _low_level(only: Stream) -> None:
    torch._C._cuda_getCurrentRawStream = constant(0)
    torch._C._cuda_getDevice = constant(0)
    nvtx = types.SimpleNamespace(
        range_push=constant(None),
        range_pop=constant(None),
        mark=constant(None),
        range=contextlib.nullcontext,
    )
    torch.cuda.nvtx = nvtx
    sys.modules["torch.cuda.nvtx"] = nvtx  # type: ignore[assignment]
    accelerator = getattr(torch, "accelerator", None)
    if accelerator is not None:
        for name in ("synchronize", "empty_cache", "reset_peak_memory_stats", "set_device_index"):
            replace(accelerator, name, constant(None))
        for name in _NO_MEMORY:
            replace(accelerator, name, constant(0))
        replace(accelerator, "memory_stats", constant({}))
        replace(accelerator, "current_stream", constant(only))
