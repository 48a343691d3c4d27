"""torchvision beside an emulated card: declared where its library does not load, left alone where it does."""

import importlib
import sys
import types
from pathlib import Path

import pytest

_MODULE = "harness.payload.emulation.replacements"


def declared(monkeypatch: pytest.MonkeyPatch, folder: Path, *, loads: bool) -> list[str]:
    """Return the operators that are declared over a stand-in for torch."""
    found: list[str] = []

    def load_library(path: str) -> None:
        assert Path(path) == folder / "torchvision" / "_C.so"
        if not loads:
            raise OSError("libtorch_cuda.so: cannot open shared object file")

    torch = types.ModuleType("torch")
    monkeypatch.setattr(
        torch, "ops", types.SimpleNamespace(load_library=load_library), raising=False
    )
    library = types.SimpleNamespace(define=lambda name, schema: found.append(name))
    monkeypatch.setattr(torch, "library", library, raising=False)
    (folder / "torchvision").mkdir()
    (folder / "torchvision" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.delitem(sys.modules, _MODULE, raising=False)
    module = importlib.import_module(_MODULE)
    monkeypatch.delitem(sys.modules, _MODULE)
    assert module.declare_torchvision_operators() is not loads
    return found


def test_operators_are_declared_where_the_library_does_not_load(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert declared(monkeypatch, tmp_path, loads=False) == ["torchvision::nms", "torchvision::qnms"]


def test_operators_of_a_library_that_loads_are_not_declared_twice(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert declared(monkeypatch, tmp_path, loads=True) == []
