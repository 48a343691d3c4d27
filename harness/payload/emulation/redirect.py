"""Tensors asked for on cuda are made on the CPU."""

import threading
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

CPU = torch.device("cpu")


class Redirect(TorchFunctionMode):  # type: ignore[misc]
    """Rewrites the device of every torch call that names cuda.

    `torch.device("cuda")` itself stays a cuda device: what the library decides by its own device
    strings is left alone.
    """

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call `func` with cuda replaced by the CPU, or leave out what only moves memory."""
        kwargs = kwargs or {}
        if func is torch.device:
            # A number alone means the accelerator.
            named = ("cuda", *args) if args and type(args[0]) is int else args
            return func(*named, **kwargs)
        if func in _STAYS_AS_IT_IS:
            return args[0]
        if func in _ANSWERS:
            return _ANSWERS[func]
        if kwargs:
            if is_cuda(kwargs.get("device")):
                kwargs = {**kwargs, "device": CPU}
            if kwargs.get("pin_memory"):
                kwargs = {**kwargs, "pin_memory": False}
        if func in _DEVICE_FIRST:
            place = _DEVICE_FIRST[func]
            if len(args) > place and type(args[place]) is int:
                args = (*args[:place], CPU, *args[place + 1 :])
        if any(_names_cuda(value) for value in args):
            args = tuple(CPU if _names_cuda(value) else value for value in args)
        return func(*args, **kwargs)


# Calls in which a bare number at this place is a device.
_DEVICE_FIRST = {torch.Tensor.to: 1, torch._C._nn._parse_to: 0}
_STAYS_AS_IT_IS = {torch.Tensor.cuda, torch.Tensor.pin_memory}
_ANSWERS = {torch.Tensor.is_pinned: True}


def is_cuda(device: Any) -> bool:
    """Whether a `device` argument (device, string, number) means a CUDA device."""
    return type(device) is int or _names_cuda(device)


def _names_cuda(value: Any) -> bool:
    if isinstance(value, torch.device):
        return bool(value.type == "cuda")
    return type(value) is str and (value == "cuda" or value.startswith("cuda:"))


def redirect() -> None:
    """Send cuda to the CPU in this thread and in every thread started from now on."""
    Redirect().__enter__()
    # Function modes are thread-local: data loaders and trainers start threads of their own.
    start = threading.Thread._bootstrap_inner  # type: ignore[attr-defined]

    def redirected(self: threading.Thread) -> Any:
        with Redirect():
            return start(self)

    threading.Thread._bootstrap_inner = redirected  # type: ignore[attr-defined]
    torch.UntypedStorage.cuda = lambda storage, *args, **kwargs: storage
    # Its C signature takes no other stream than a real one, and is read before any mode is asked.
    torch.Tensor.record_stream = lambda tensor, stream: None
