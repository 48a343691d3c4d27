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


def loading_options(options: dict[str, Any]) -> dict[str, Any]:
    """Return options of `from_pretrained`, which takes any keyword, under the release's names.

    Before 4.56 transformers called the dtype `torch_dtype`; it carries a stranger `dtype` into the
    config, and fails later.
    """
    from transformers import PretrainedConfig

    if hasattr(PretrainedConfig(), "dtype"):
        return options
    return {"torch_dtype" if name == "dtype" else name: value for name, value in options.items()}


def model_class(model_dir: str) -> Any:
    """Return the class that the checkpoint's `architectures` names.

    `AutoModelForCausalLM` makes of a Gemma-3 with a vision tower a text model in one release and
    the whole model in another.
    """
    import transformers

    config = transformers.AutoConfig.from_pretrained(model_dir)
    for name in config.architectures or ():
        if (named := getattr(transformers, name, None)) is not None:
            return named
    return transformers.AutoModelForCausalLM


def takes_token_type_ids(model: Any) -> bool:
    """Whether the model's forward tells image tokens from text by `token_type_ids`.

    Such a model cannot train without them in some releases ("`token_type_ids` are required as a
    model input when training"), and one without refuses them in `generate`.
    """
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    return "token_type_ids" in inspect.signature(base.forward).parameters


def mend(model: Any) -> list[str]:
    """Step around what keeps a release from training at all with the libraries of its stack.

    Args:
        model: The loaded model; its config may change.

    Returns:
        What was stepped around, for the record.
    """
    mended = []
    if _cache_breaks_evaluation():
        # With a vision tower the decoder has a copy of its part of the config.
        for module in model.modules():
            if hasattr(getattr(module, "config", None), "use_cache"):
                module.config.use_cache = False
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
    parameters = inspect.signature(original).parameters
    if len(parameters) != 3 or any(p.kind is p.VAR_POSITIONAL for p in parameters.values()):
        return False

    def get_batch_samples(self: Any, iterator: Any, count: int, *device: Any) -> Any:
        return original(self, iterator, count)

    Trainer.get_batch_samples = get_batch_samples
    return True
