"""The two import rules of the house."""

import ast
import sys
from pathlib import Path

from harness.locations import PACKAGE

STACK = {"torch", "transformers", "trl", "peft", "unsloth", "unsloth_zoo", "datasets", "accelerate"}
STACK |= {"triton", "bitsandbytes", "cut_cross_entropy", "torchvision"}


def imports(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.split(".")[0])
    return names


def test_payload_imports_only_stdlib_and_stack() -> None:
    # safetensors comes with transformers, and serves the harness too.
    allowed = set(sys.stdlib_module_names) | STACK | {"payload", "safetensors"}
    for path in (PACKAGE / "payload").rglob("*.py"):
        assert imports(path) <= allowed, path


def test_the_rest_never_imports_the_stack() -> None:
    for path in PACKAGE.rglob("*.py"):
        if "payload" not in path.relative_to(PACKAGE).parts:
            assert not imports(path) & STACK, path
