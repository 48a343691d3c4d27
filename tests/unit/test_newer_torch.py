"""An old Unsloth beside a torch of another day, with stand-ins for the sources of both."""

import importlib
import sys
import types
from pathlib import Path

import pytest

from harness.payload.emulation import newer_torch

UNGUARDED = r"""    n = len(re.search(r"\n([ ]{1,})return compiled_fn", source).group(1))"""
GUARDED = r"""    found = re.search(r"\n([ ]{1,})return compiled_fn", source)"""

AS_IN_2_6 = "def end_capture(self):\n    compiled_fn = 1\n    return compiled_fn(1)\n"
AS_IN_2_11 = "def end_capture(self):\n    return self.runtime_wrapper, 1\n"
AS_REPAIRED = "def end_capture(self):\n    with disable():\n        return 1\n"


def stack(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zoo: str, torch: str
) -> types.ModuleType:
    """Put an unsloth_zoo and a torch with these sources in place; return torch's module."""
    (tmp_path / "unsloth_zoo").mkdir()
    (tmp_path / "unsloth_zoo" / "__init__.py").write_text("")
    (tmp_path / "unsloth_zoo" / "patching_utils.py").write_text(zoo)
    (tmp_path / "compiled_autograd_stand_in.py").write_text(
        "class AutogradCompilerInstance:\n    " + torch.replace("\n", "\n    ").rstrip() + "\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    for name in ("compiled_autograd_stand_in", "unsloth_zoo"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    module = importlib.import_module("compiled_autograd_stand_in")
    monkeypatch.setitem(sys.modules, "torch._dynamo.compiled_autograd", module)
    monkeypatch.setitem(sys.modules, "torch", types.ModuleType("torch"))
    monkeypatch.setitem(sys.modules, "torch._dynamo", types.ModuleType("torch._dynamo"))
    return module


def name_of(module: types.ModuleType) -> str:
    found: str = module.AutogradCompilerInstance.end_capture.__name__
    return found


def test_the_patch_is_skipped_and_said_where_it_would_raise(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = stack(tmp_path, monkeypatch, UNGUARDED, AS_IN_2_11)
    (said,) = newer_torch.step_around()
    assert said.startswith("unsloth_zoo.patching_utils.patch_compiled_autograd: skipped")
    assert name_of(module) == "unsloth_end_capture"


@pytest.mark.parametrize(
    ("zoo", "torch"),
    [(UNGUARDED, AS_IN_2_6), (UNGUARDED, AS_REPAIRED), (GUARDED, AS_IN_2_11)],
    ids=["its own torch", "a torch that needs no patch", "a release that looks first"],
)
def test_what_works_by_itself_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, zoo: str, torch: str
) -> None:
    module = stack(tmp_path, monkeypatch, zoo, torch)
    assert newer_torch.step_around() == []
    assert name_of(module) == "end_capture"


def test_a_stack_without_unsloth_zoo_has_nothing_to_step_around(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert newer_torch.step_around() == []
