"""Autocast of `cuda` computed on the CPU.

torch keeps one autocast state per device type, also for device types that the build lacks. While
cuda's is on, the CPU's kernels run under it, and what a library sets for the CPU has no effect, as on
a GPU. All else (`torch.autocast("cuda")`, GradScaler, custom_fwd) is torch's own code over the states.

The two device types differ in the operators that they run in float32: what cuda widens and the CPU
does not is widened here, in the dispatcher, as cuda does it.
"""

import threading
from collections.abc import Callable
from typing import Any

import torch

from . import dispatcher

# torch 2.13, ATen/autocast_mode.h: AT_FORALL_FP32 without image operators.
WIDENED = [
    "acos",
    "asin",
    "cosh",
    "erfinv",
    "exp",
    "expm1",
    "log",
    "log10",
    "log2",
    "log1p",
    "reciprocal",
    "rsqrt",
    "sinh",
    "tan",
    "pow.Tensor_Scalar",
    "pow.Tensor_Tensor",
    "pow.Scalar",
    "softplus",
    "layer_norm",
    "native_layer_norm",
    "rms_norm",
    "group_norm",
    "cosine_similarity",
    "kl_div",
    "l1_loss",
    "logsumexp",
    "norm.Scalar",
    "norm.ScalarOpt_dim",
]
# The same file, AT_FORALL_FP32_SET_OPT_DTYPE: a dtype that the caller names stays.
WIDENED_UNLESS_NAMED = [
    "softmax.int",
    "log_softmax.int",
    "cumprod",
    "cumsum",
    "linalg_vector_norm",
    "sum",
    "sum.dim_IntList",
]

# What the CPU's autocast brings to one dtype and cuda's leaves alone.
PLAIN = ("cat", "stack", "index_copy")


class _CpuState(threading.local):
    """What the library has set for the CPU, where no tensor of this process seems to be."""

    enabled = False
    dtype = torch.bfloat16


def follow_cuda() -> None:
    """Run CPU kernels under the autocast of cuda where that is on, else under the CPU's own."""
    asked = _CpuState()
    enabled, set_enabled = torch.is_autocast_enabled, torch.set_autocast_enabled
    dtype, set_dtype = torch.get_autocast_dtype, torch.set_autocast_dtype

    def apply() -> None:
        on = enabled("cuda")
        set_enabled("cpu", on or asked.enabled)
        set_dtype("cpu", dtype("cuda") if on else asked.dtype)

    def set_autocast_enabled(*arguments: Any) -> None:
        # One argument is the form of before 2.4, which means cuda.
        device, value = arguments if len(arguments) == 2 else ("cuda", *arguments)
        if device == "cpu":
            asked.enabled = value
        else:
            set_enabled(device, value)
        apply()

    def set_autocast_dtype(device: str, value: Any) -> None:
        if device == "cpu":
            asked.dtype = value
        else:
            set_dtype(device, value)
        apply()

    def is_autocast_enabled(device: str = "cuda") -> bool:
        return asked.enabled if device == "cpu" else bool(enabled(device))

    def get_autocast_dtype(device: str) -> Any:
        return asked.dtype if device == "cpu" else dtype(device)

    for function in (
        set_autocast_enabled,
        set_autocast_dtype,
        is_autocast_enabled,
        get_autocast_dtype,
    ):
        setattr(torch, function.__name__, function)
    torch.set_autocast_gpu_dtype = lambda value: set_autocast_dtype("cuda", value)
    _widen()


def _widen() -> None:
    kernels: dict[str, Callable[..., Any]] = {name: _plain(name) for name in PLAIN}
    for name in WIDENED + WIDENED_UNLESS_NAMED:
        if dispatcher.exists(name):
            kernels[name] = _widened(name, name in WIDENED_UNLESS_NAMED)
    dispatcher.register("AutocastCPU", kernels)


def _plain(name: str) -> Callable[..., Any]:
    operator = dispatcher.operator(name)

    def kernel(*args: Any, **kwargs: Any) -> Any:
        with _below_autocast():
            return operator(*args, **kwargs)

    return kernel


def _widened(name: str, unless_named: bool) -> Callable[..., Any]:
    operator = dispatcher.operator(name)

    def kernel(*args: Any, **kwargs: Any) -> Any:
        named = any(isinstance(value, torch.dtype) for value in (*args, *kwargs.values()))
        with _below_autocast():
            if not (unless_named and named):
                args = tuple(_float32(value) for value in args)
            return operator(*args, **kwargs)

    return kernel


def _below_autocast() -> Any:
    key = torch._C.DispatchKeySet(torch._C.DispatchKey.AutocastCPU)
    return torch._C._ExcludeDispatchKeyGuard(key)


def _float32(value: Any) -> Any:
    half = isinstance(value, torch.Tensor) and value.dtype in (torch.float16, torch.bfloat16)
    return value.float() if half else value
