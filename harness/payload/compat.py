"""Names that differ between releases, settled by asking the library, not by version lists."""

import inspect
from collections.abc import Callable
from typing import Any

# Today's name -> names that earlier releases used for the same thing.
_FORMER_NAMES = {
    "eval_strategy": ("evaluation_strategy",),
    "processing_class": ("tokenizer",),
    "max_length": ("max_seq_length",),
    "dtype": ("torch_dtype",),
    "use_cpu": ("no_cuda",),
}


def accepted(function: Callable[..., Any], arguments: dict[str, Any]) -> dict[str, Any]:
    """Return `arguments` under the names that `function` takes.

    Raises:
        TypeError: An argument that the function knows under no name: silently dropping a setting is
            the very fault this project looks for.
    """
    parameters = inspect.signature(function).parameters
    takes_any = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
    renamed = {}
    for name, value in arguments.items():
        candidates = (name, *_FORMER_NAMES.get(name, ()))
        known = next((candidate for candidate in candidates if candidate in parameters), None)
        if known is None and not takes_any:
            raise TypeError(
                f"{getattr(function, '__qualname__', function)} has no argument "
                f"{' or '.join(candidates)}; add its name in this release to compat.py"
            )
        renamed[known or name] = value
    return renamed


def cache_breaks_evaluation() -> bool:
    """Whether transformers' HybridCache passes for a tensor, as in 4.49 to 4.51.

    It has a `dtype`, so under mixed precision accelerate calls its `.float()` at the first evaluation:
    "'HybridCache' object has no attribute 'float'" (unslothai/unsloth#2052).
    """
    from transformers import cache_utils

    cache = getattr(cache_utils, "HybridCache", None)
    return cache is not None and "self.dtype =" in inspect.getsource(cache)


def supports(function: Callable[..., Any], name: str) -> bool:
    """Whether `function` declares the argument `name`."""
    return name in inspect.signature(function).parameters
