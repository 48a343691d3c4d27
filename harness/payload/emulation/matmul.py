"""Half-precision matrix products as a GPU computes them: float32 accumulation, rounded once.

Tensor cores multiply float16 or bfloat16 and add in float32. A CPU without such instructions loops
over the elements instead, some twenty times slower and with roundings of its own. Here the factors
are widened (exactly), multiplied by the float32 routine, and the result is rounded to their dtype.
"""

from collections.abc import Callable
from typing import Any

import torch

from . import dispatcher

_HALF = (torch.float16, torch.bfloat16)
aten = torch.ops.aten


def _mm(a: Any, b: Any) -> Any:
    return _computed(aten.mm.out, (a, b), (a.shape[0], b.shape[1]))


def _bmm(a: Any, b: Any) -> Any:
    return _computed(aten.bmm.out, (a, b), (a.shape[0], a.shape[1], b.shape[2]))


def _addmm(bias: Any, a: Any, b: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    shape = (a.shape[0], b.shape[1])
    return _computed(aten.addmm.out, (bias, a, b), shape, beta=beta, alpha=alpha)


def _baddbmm(bias: Any, a: Any, b: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    shape = (a.shape[0], a.shape[1], b.shape[2])
    return _computed(aten.baddbmm.out, (bias, a, b), shape, beta=beta, alpha=alpha)


def _computed(kernel: Any, factors: tuple[Any, ...], shape: tuple[int, ...], **scales: Any) -> Any:
    # The out form has a kernel of its own, so it does not come back here.
    dtype = factors[-1].dtype
    if any(factor.dtype != dtype for factor in factors):
        names = " != ".join(str(factor.dtype).removeprefix("torch.") for factor in factors)
        raise RuntimeError(f"expected the factors to have the same dtype, but got: {names}")
    if dtype not in _HALF:
        return kernel(*factors, out=factors[-1].new_empty(shape), **scales)
    wide = tuple(factor.float() for factor in factors)
    return kernel(*wide, out=wide[-1].new_empty(shape), **scales).to(dtype)


def accumulate_in_float32() -> None:
    """Take the place of torch's CPU kernels for mm, addmm, bmm and baddbmm, backward included."""
    kernels: dict[str, Callable[..., Any]] = {
        "mm": _mm,
        "addmm": _addmm,
        "bmm": _bmm,
        "baddbmm": _baddbmm,
    }
    dispatcher.register("CPU", kernels)
