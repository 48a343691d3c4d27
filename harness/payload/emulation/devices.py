"""What `torch.cuda` says: the questions about the card, answered from its profile.

Only leaves are answered. What torch derives from them in Python stays torch's own, so that
`is_bf16_supported()` is True on a T4, as it is on a real one (torch tries a bfloat16 tensor).
"""

from collections.abc import Callable
from typing import Any

import torch

from .profile import Profile

CONTEXT_BYTES = 512 * 2**20
"""What the emulated card's own CUDA context takes of its memory."""


class DeviceProperties:
    """`torch.cuda.get_device_properties`: what the profile says, and nothing it does not.

    An attribute that the profile lacks raises AttributeError: a library that decides by it would
    otherwise decide by a number that somebody made up.
    """

    def __init__(self, profile: Profile) -> None:
        self.name = profile.name
        self.major, self.minor = profile.capability
        self.total_memory = profile.memory_bytes
        self.multi_processor_count = profile.sm_count
        self.warp_size = 32
        self.is_integrated = False
        self.is_multi_gpu_board = False


def answer_for(profile: Profile) -> None:
    """Let `torch.cuda` and `torch.accelerator` answer for one card of this profile."""
    properties = DeviceProperties(profile)
    free = profile.memory_bytes - CONTEXT_BYTES
    memory = (free, profile.memory_bytes)
    cuda = {
        "is_available": True,
        "is_initialized": True,
        "device_count": 1,
        "current_device": 0,
        "get_device_properties": properties,
        "get_arch_list": ["sm_{}{}".format(*profile.capability)],
        "mem_get_info": memory,
        "_lazy_init": None,
        "_is_in_bad_fork": False,
    }
    for name, value in cuda.items():
        replace(torch.cuda, name, constant(value))
    replace(torch.cuda.memory, "mem_get_info", constant(memory))
    if torch.version.cuda is None:
        # Libraries take a CPU build by this; 12.8 is what the torch wheels of these years carry.
        torch.version.cuda = "12.8"
    accelerator = getattr(torch, "accelerator", None)
    if accelerator is not None:
        answers = {
            "is_available": True,
            "current_accelerator": torch.device("cuda"),
            "device_count": 1,
            "current_device_index": 0,
            "current_device_idx": 0,
            "get_memory_info": memory,
        }
        for name, value in answers.items():
            replace(accelerator, name, constant(value))


def constant(value: Any) -> Callable[..., Any]:
    """Return a function that takes anything and returns `value`: a new one for each call.

    torch's dynamo indexes torch's functions by identity, so no two names may share one.
    """

    def answer(*args: Any, **kwargs: Any) -> Any:
        return value

    return answer


def replace(owner: Any, name: str, value: Any) -> None:
    """Put `value` in the place of an attribute that this torch has; skip one that it lacks."""
    if not hasattr(owner, name):
        return
    if callable(value) and hasattr(value, "__name__"):
        value.__name__ = name
    setattr(owner, name, value)
