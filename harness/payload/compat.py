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


def mend(model: Any) -> list[str]:
    """Step around what keeps a release from training at all with the libraries of its stack.

    Args:
        model: The loaded model; its config may change.

    Returns:
        What was stepped around, for the record.
    """
    mended = []
    if _cache_breaks_evaluation():
        model.config.use_cache = False
        mended.append("key-value cache in evaluation: off, it raises here (unslothai/unsloth#2052)")
    if _let_batch_samples_take_device():
        mended.append("Trainer.get_batch_samples of unsloth_zoo: takes transformers 4.50's device")
    return mended


def _cache_breaks_evaluation() -> bool:
    """Whether transformers' HybridCache passes for a tensor, as in 4.49 and 4.50.

    It has a `dtype`, so under mixed precision accelerate calls its `.float()` at the first evaluation:
    "'HybridCache' object has no attribute 'float'".
    """
    from transformers import cache_utils

    cache = getattr(cache_utils, "HybridCache", None)
    return cache is not None and "self.dtype =" in inspect.getsource(cache)


def _let_batch_samples_take_device() -> bool:
    """Patch unsloth_zoo's `get_batch_samples` of before 2025.3.16 to ignore the device it is given.

    Returns:
        Whether there was something to patch.
    """
    from transformers import Trainer

    original = getattr(Trainer, "get_batch_samples", None)
    if original is None or not original.__name__.startswith("_unsloth"):
        return False
    if len(inspect.signature(original).parameters) != 3:
        return False

    def get_batch_samples(self: Any, iterator: Any, count: int, *device: Any) -> Any:
        return original(self, iterator, count)

    Trainer.get_batch_samples = get_batch_samples
    return True
