"""A registry and a uv that answer from memory, for tests that must not touch the network."""

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from harness.errors import StackBuildError
from harness.stacks import environments, locking
from harness.stacks.uv_tool import NoSolutionError


@dataclass
class FakeUv:
    """Stands in for `run_uv`.

    Attributes:
        uploads: Upload time by `name==version`; what the registry has, oldest first.
        sets: The packages that a release resolves to, without itself.
        unsolvable: Releases that resolve only with an override of certifi.
        offline: Every command fails as it does without a network.
        commands: Every command line it was given.
    """

    uploads: dict[str, str]
    sets: dict[str, list[str]]
    unsolvable: set[str] = field(default_factory=set)
    offline: bool = False
    commands: list[tuple[str, ...]] = field(default_factory=list)

    def __call__(self, *arguments: str, purpose: str) -> str:
        self.commands.append(arguments)
        if self.offline:
            raise StackBuildError(f"cannot {purpose}: `uv pip compile` exited 2. Check the network")
        if arguments[0] == "venv":
            (Path(arguments[-1]) / "bin").mkdir(parents=True)
        if arguments[:2] == ("pip", "compile"):
            self._compile(list(arguments), purpose)
        return ""

    def installs(self) -> list[tuple[str, ...]]:
        """Return the install commands."""
        return [command for command in self.commands if command[:2] == ("pip", "install")]

    def _compile(self, arguments: list[str], purpose: str) -> None:
        result = Path(arguments[arguments.index("--output-file") + 1])
        wanted = Path(arguments[arguments.index("--output-file") - 1]).read_text().split()
        cutoff = _after(arguments, "--exclude-newer")
        pins = _after(arguments, "--override")
        overrides = Path(pins).read_text().split() if pins else []
        names = []
        for requirement in wanted:
            name = re.split(r"[=<>]", requirement)[0]
            fitting = [key for key in self._known(cutoff) if _meets(key, requirement)]
            if not fitting:
                raise NoSolutionError(f"cannot {purpose}: there is no version of {requirement}")
            names.append(fitting[0] if "lowest" in arguments else fitting[-1])
            if "--no-deps" in arguments:
                continue
            if fitting[-1] in self.unsolvable and not any(
                one.startswith("certifi") for one in overrides
            ):
                raise NoSolutionError(
                    f"cannot {purpose}: no solution\nerror: No solution found\n"
                    f"  cause: {name} depends on certifi>=99\n"
                )
            forced = {pin.split("==")[0]: pin for pin in overrides if "==" in pin}
            names += [forced.get(key.split("==")[0], key) for key in self.sets.get(fitting[-1], ())]
        result.write_text("".join(self._entry(key) for key in dict.fromkeys(names)))

    def _known(self, cutoff: str | None) -> list[str]:
        return [key for key, day in self.uploads.items() if cutoff is None or day < cutoff]

    def _entry(self, key: str) -> str:
        name, version = key.split("==")
        uploaded = self.uploads.get(key, "2025-01-01T00:00:00Z")
        digest = hashlib.sha256(key.encode()).hexdigest()
        return (
            f'[[packages]]\nname = "{name}"\nversion = "{version}"\n'
            f'wheels = [{{ upload-time = {uploaded}, hashes = {{ sha256 = "{digest}" }} }}]\n'
        )


def replace_uv(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeUv:
    """Put a registry of three releases of Unsloth in place of uv; the cache is a fresh folder."""
    fake = FakeUv(
        uploads={
            "unsloth==2025.3.14": "2025-03-14T17:08:05Z",
            "unsloth==2026.1.4": "2026-01-22T15:47:32Z",
            "unsloth==2026.2.1": "2026-02-05T23:59:59Z",
            "transformers==5.0.0": "2026-01-10T00:00:00Z",
            "transformers==6.0.0": "2026-02-20T00:00:00Z",
            "trl==1.0.0": "2026-01-10T00:00:00Z",
            "peft==1.0.0": "2026-01-10T00:00:00Z",
            "accelerate==1.0.0": "2026-01-10T00:00:00Z",
        },
        sets={
            "unsloth==2025.3.14": ["transformers==4.49.0", "torch==2.6.0"],
            "unsloth==2026.1.4": ["transformers==5.0.0", "torch==2.9.1", "nvidia-nccl-cu12==2.2"],
            "unsloth==2026.2.1": ["transformers==5.0.0", "torch==2.10.0", "certifi==1"],
        },
    )
    for module in (locking, environments):
        monkeypatch.setattr(module, "run_uv", fake)
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    for name in ("PIP_FIND_LINKS", "UV_FIND_LINKS"):
        monkeypatch.delenv(name, raising=False)
    return fake


def _after(arguments: list[str], option: str) -> str | None:
    return arguments[arguments.index(option) + 1] if option in arguments else None


def _meets(key: str, requirement: str) -> bool:
    parsed = Requirement(requirement)
    name, version = key.split("==")
    return name == parsed.name and version in parsed.specifier
