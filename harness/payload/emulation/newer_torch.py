"""What keeps an old release from training beside a torch of another day, which a lent GPU machine has.

Found by asking the library's and torch's sources, not by version lists.
"""

import importlib
import importlib.util
import inspect
import re
from pathlib import Path

_UNGUARDED = r"""n = len(re.search(r"\n([ ]{1,})return compiled_fn", source).group(1))"""
"""As of unsloth_zoo 2025.3.12; later releases test the match first."""
_PATCHED = re.compile(r"\n([ ]{1,})return compiled_fn")

PATCH = "unsloth_zoo.patching_utils.patch_compiled_autograd"


def step_around() -> list[str]:
    """Skip Unsloth's patch of compiled autograd where torch's source is not what it rewrites.

    Once in a process, before Unsloth is imported. Later releases of Unsloth skip it there by themselves.

    Returns:
        What is skipped, for the record.
    """
    if not rewrites_compiled_autograd() or _is_as_expected():
        return []
    skip_patch()
    return [f"{PATCH}: skipped, as later releases do where torch has not the source it rewrites"]


def rewrites_compiled_autograd() -> bool:
    """Whether the stack's unsloth_zoo rewrites torch's source without a look at it."""
    spec = importlib.util.find_spec("unsloth_zoo")
    if spec is None or spec.origin is None:
        return False
    return _UNGUARDED in Path(spec.origin).with_name("patching_utils.py").read_text("utf-8")


def skip_patch() -> None:
    """Give torch's function the name by which the patch knows that it has been applied."""
    compiled = importlib.import_module("torch._dynamo.compiled_autograd")
    compiled.AutogradCompilerInstance.end_capture.__name__ = "unsloth_end_capture"


def _is_as_expected() -> bool:
    compiled = importlib.import_module("torch._dynamo.compiled_autograd")
    source = inspect.getsource(compiled.AutogradCompilerInstance.end_capture)
    return "with disable()" in source or _PATCHED.search(source) is not None
