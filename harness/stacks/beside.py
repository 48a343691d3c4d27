"""What a machine has already, by its own list, and what of a stack need not be carried there."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from harness.errors import InputError

_TORCH = frozenset({"torch", "torchvision", "triton"})
"""The machine's, whatever its list says: a wheel of torch is what a wheelhouse is to avoid."""

_AS_LOCKED = frozenset(
    {
        *("unsloth", "unsloth-zoo", "transformers", "tokenizers", "huggingface-hub", "safetensors"),
        *("trl", "peft", "accelerate", "datasets", "dill", "multiprocess", "bitsandbytes"),
        *("cut-cross-entropy", "torchao"),
    }
)
"""What decides how a fine-tune runs: it comes at the lock's version where the machine has another."""


@dataclass(frozen=True)
class Beside:
    """The packages of a machine.

    Attributes:
        versions: By name; None where its list has no version: the package is kept, whatever it is.
    """

    versions: Mapping[str, str | None]

    def serves(self, name: str, version: str) -> bool:
        """Whether a stack runs with the machine's package in place of that of its lock."""
        if name in _TORCH:
            return True
        if name not in self.versions:
            return False
        return name not in _AS_LOCKED or self.versions[name] in (None, version)

    def lacks_of_torch(self, wanted: Iterable[str]) -> list[str]:
        """Return what of torch a stack wants and the machine's list has not: no wheel of it is brought."""
        return sorted(_TORCH.intersection(wanted) - self.versions.keys()) if self.versions else []

    def meets(self, name: str, bounds: SpecifierSet) -> bool:
        """Whether the machine's package is within the harness's own bounds."""
        version = self.versions.get(name)
        return name in self.versions and (
            version is None or bounds.contains(version, prereleases=True)
        )


def read(path: Path | None) -> Beside:
    """Read a machine's list: `NAME` or `NAME==VERSION`, one a line as `pip freeze` prints them.

    Raises:
        InputError: It is not there.
    """
    if path is None:
        return Beside({})
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"cannot read {path}: {error.strerror}. On the machine: pip freeze > FILE."
        ) from error
    words = re.split(r"[\s,]+", re.sub(r"#.*| @ \S+", "", text))
    split = (re.split(r"==|[=<>~!@\[]", word, maxsplit=1) for word in words if word)
    return Beside({str(canonicalize_name(n)): (rest[0] if rest else None) for n, *rest in split})
