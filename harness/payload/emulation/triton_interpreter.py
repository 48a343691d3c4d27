"""Unsloth's own Triton kernels, run by Triton's interpreter on CPU tensors.

The interpreter (TRITON_INTERPRET=1) swaps the functions of `triton.language` for its own while a
kernel runs. Kernels that took a function under another name beforehand (Unsloth's
`triton_cast = tl.cast`) keep the compiler's, which raises outside of a compilation: "Did you forget to
add @triton.jit ?". Such names are looked up anew at each launch.
"""

import importlib.util
import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any


def mend() -> None:
    """Make aliases of `triton.language` functions follow the interpreter, which is made faster."""
    if importlib.util.find_spec("triton") is None:
        return
    import triton.language
    from triton.runtime import interpreter

    GridExecutor = interpreter.GridExecutor  # noqa: N806 - a class
    if hasattr(interpreter, "_patch_builtin"):
        interpreter._patch_builtin = _once(interpreter._patch_builtin, triton.language)
    interpreter._get_np_dtype = _remembered(interpreter._get_np_dtype)
    _skip_unread_checks(interpreter.interpreter_builder)
    launch = GridExecutor.__call__

    def launch_mended(self: Any, *args: Any, **kwargs: Any) -> Any:
        variables = self.fn.__globals__
        for alias, name in _aliases(variables, triton.language).items():
            variables[alias] = _late(triton.language, name)
        return launch(self, *args, **kwargs)

    GridExecutor.__call__ = launch_mended


def _once(patch: Callable[..., Any], language: Any) -> Callable[..., Any]:
    # At each launch and each call within a kernel it lists and sorts all members of the language, a
    # third of a launch's time, also when they are swapped already: one builtin tells.
    samples: dict[Any, tuple[str, Any] | None] = {}

    def patch_once(package: Any, *args: Any, **kwargs: Any) -> None:
        if package not in samples:
            members = inspect.getmembers(package, language.core.is_builtin)
            samples[package] = members[0] if members else None
        sample = samples[package]
        if sample is not None and getattr(package, sample[0]) is sample[1]:
            patch(package, *args, **kwargs)

    return patch_once


def _remembered(numpy_type: Callable[[Any], Any]) -> Callable[[Any], Any]:
    # It hashes every type of the language anew for each operation; a type's name says which it is.
    known: dict[str, Any] = {}

    def remembered(language_type: Any) -> Any:
        name = language_type.name
        if name not in known:
            known[name] = numpy_type(language_type)
        return known[name]

    return remembered


def _skip_unread_checks(builder: Any) -> None:
    # Integer overflow is computed for a device_assert, which is left out unless kernels are debugged.
    options = builder.options
    if getattr(options, "sanitize_overflow", False) and not options.debug:
        builder.options = replace(options, sanitize_overflow=False)


def _aliases(variables: dict[str, Any], language: Any) -> dict[str, str]:
    # A builtin of the language under a module-level name: alias -> its name in the language.
    return {
        alias: value.__name__
        for alias, value in variables.items()
        if getattr(value, "__triton_builtin__", False) is True
        and hasattr(language, getattr(value, "__name__", ""))
    }


def _late(language: Any, name: str) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        return getattr(language, name)(*args, **kwargs)

    return call
