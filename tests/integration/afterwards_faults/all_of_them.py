"""All faults of this folder in one run: each is seen in quantities of its own."""

import importlib.util
from pathlib import Path
from typing import Any

NAMES = ("incomplete_file", "merges_twice", "other_eos", "forgets_optimizer")


def install(context: Any) -> None:
    for name in NAMES:
        spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        module.install(context)
