"""Inspection of a built stack: the versions it holds against its lock, and what it imports."""

import json
import subprocess
from dataclasses import dataclass

from packaging.utils import canonicalize_name
from pydantic import TypeAdapter, ValidationError

from harness.abandoned import work_folder
from harness.bound_process import run_bound
from harness.containment.limits import Limits
from harness.errors import first_problem
from harness.locations import PACKAGE
from harness.processes.payload import Setting
from harness.stacks import environments
from harness.stacks.stack import Stack
from harness.stacks.stacks_file import Family

# Unsloth itself needs a GPU, or an emulated one, before its CPU backend of 2026.10.9: it is not
# imported here, its version is read.
IMPORTS: dict[Family, dict[str, tuple[str, ...]]] = {
    "unsloth": {
        "transformers": ("Gemma3ForCausalLM", "Trainer"),
        "peft": ("LoraConfig", "get_peft_model"),
        "trl": ("SFTConfig", "SFTTrainer"),
        "datasets": ("Dataset",),
    },
    "reference": {
        "transformers": ("Gemma3ForCausalLM", "Trainer"),
        "peft": ("LoraConfig", "get_peft_model"),
    },
}

# A CPU stack that keeps torchvision has the registry's build, whose library for CUDA does not load;
# as in an emulated run, its two operators are declared so that the rest of it imports.
_PROBE = """
import importlib, importlib.metadata, json, sys, time
wanted = json.loads(sys.argv[1])
versions = {d.metadata["Name"]: d.version for d in importlib.metadata.distributions()}
if "torchvision" in versions and versions.get("torch", "").endswith("+cpu"):
    sys.path.append(sys.argv[2])
    from emulation import replacements
    replacements.declare_torchvision_operators()
imports = {}
for module, names in wanted.items():
    started = time.perf_counter()
    try:
        found = importlib.import_module(module)
        for name in names:
            getattr(found, name)
        imports[module] = [time.perf_counter() - started, None]
    except BaseException as error:
        imports[module] = [time.perf_counter() - started, f"{type(error).__name__}: {error}"]
print("\\n" + json.dumps({"versions": versions, "imports": imports}))
"""


@dataclass(frozen=True)
class _Found:
    """What the probe prints: version by name; seconds and error by module."""

    versions: dict[str, str]
    imports: dict[str, tuple[float, str | None]]


_FOUND = TypeAdapter(_Found)


@dataclass(frozen=True)
class Inspection:
    """What a stack's environment holds.

    Attributes:
        versions: Version by package, as importlib.metadata lists them.
        import_s: Wall seconds by module; each one's after those before it.
        faults: What is not as it should be, in words; empty for a working environment.
    """

    versions: dict[str, str]
    import_s: dict[str, float]
    faults: tuple[str, ...]


def inspect_environment(stack: Stack, timeout_s: float = 600) -> Inspection:
    """List a built stack's packages and import what a fine-tune uses, in a process of its own.

    Args:
        stack: A stack whose environment is built.
        timeout_s: Wall seconds after which the imports count as hung.
    """
    with work_folder("inspect") as folder:
        setting = Setting(environments.python_of(stack), folder, 1, Limits.for_model())
        wanted = json.dumps(IMPORTS[stack.family])
        command = setting.command("-c", _PROBE, wanted, PACKAGE / "payload")
        try:
            result = run_bound(
                command, cwd=setting.work_dir, env=setting.environment, timeout_s=timeout_s
            )
        except subprocess.TimeoutExpired:
            return Inspection({}, {}, (f"its imports took more than {timeout_s:g} s",))
    if result.returncode != 0:
        said = result.stderr.strip()[-1000:]
        return Inspection({}, {}, (f"its Python exited {result.returncode}: {said}",))
    try:
        found = _FOUND.validate_json(result.stdout.rstrip().rsplit("\n", 1)[-1])
    except ValidationError as error:
        return Inspection(
            {}, {}, (f"its answer is none: {str(first_problem(error, 'answer'))[:300]}",)
        )
    faults = [f"import {module}: {error}" for module, (_, error) in found.imports.items() if error]
    versions: dict[str, str] = {
        canonicalize_name(name): version for name, version in found.versions.items()
    }
    return Inspection(
        versions,
        {module: seconds for module, (seconds, _) in found.imports.items()},
        (*_mismatches(stack, versions), *faults),
    )


def _mismatches(stack: Stack, versions: dict[str, str]) -> list[str]:
    return [
        f"{package} is {versions.get(package, 'not installed')}, locked {version}"
        for package, version in stack.versions.items()
        if versions.get(package) != version
    ]
