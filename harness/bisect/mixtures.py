"""Two neighbouring releases' packages in groups that move together, and the locks between the two."""

import fnmatch
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from harness.stacks.stack import entries_of, versions_of

_OTHERS = "other packages"
_GROUPS: dict[str, tuple[str, ...]] = {
    "unsloth": ("unsloth",),
    "unsloth-zoo": ("unsloth-zoo",),
    # transformers bounds the versions of its two companions, and does not import beside others.
    "transformers": ("transformers", "tokenizers", "huggingface-hub", "hf-xet", "safetensors"),
    "trl": ("trl",),
    "peft": ("peft",),
    "torch": ("torch", "torchvision", "torchaudio", "torchao", "triton", "xformers", "sympy", "nvidia-*", "cuda-*"),
}  # fmt: skip


@dataclass(frozen=True)
class Group:
    """Packages that move together.

    Attributes:
        name: Of the package that leads, or `other packages`.
        moves: Version on either side by package, None where a side does not have it.
    """

    name: str
    moves: Mapping[str, tuple[str | None, str | None]]

    @property
    def label(self) -> str:
        """The name, unless its package does not move: then what does."""
        if self.name in self.moves or self.name == _OTHERS:
            return self.name
        return ", ".join(sorted(self.moves))

    def only(self, packages: Collection[str]) -> "Group":
        """Return the group without all other packages."""
        return Group(self.name, {p: move for p, move in self.moves.items() if p in packages})

    def __str__(self) -> str:
        """Name what moves: `trl 1.6.0 -> 1.7.0`; the leader stands for its companions."""
        shown = [self.name] if self.name in self.moves else sorted(self.moves)
        words = [f"{name} {_shown(*self.moves[name])}" for name in shown[:3]]
        more = len(shown) - len(words)
        return ", ".join(words) + (f" and {more} more" if more else "")


def groups(old: str, new: str) -> tuple[Group, ...]:
    """Return the groups in which two locks differ, Unsloth's first.

    Args:
        old: Text of the lock of one side.
        new: Of the other.
    """
    before, after = versions_of(old), versions_of(new)
    entries = entries_of(old), entries_of(new)
    moved: dict[str, dict[str, tuple[str | None, str | None]]] = {}
    for package in sorted(before.keys() | after.keys()):
        if entries[0].get(package) != entries[1].get(package):
            versions = before.get(package), after.get(package)
            moved.setdefault(_group_of(package), {})[package] = versions
    return tuple(Group(name, moved[name]) for name in (*_GROUPS, _OTHERS) if name in moved)


def mixed(old: str, new: str, moved: Collection[Group]) -> str:
    """Return the lock of one side with groups taken from the other."""
    entries, others = entries_of(old), entries_of(new)
    for package in (package for group in moved for package in group.moves):
        if package in others:
            entries[package] = others[package]
        else:
            entries.pop(package, None)
    return "".join(f"{entry}\n" for _, entry in sorted(entries.items()))


def names(moved: Iterable[Group]) -> str:
    """List groups: `trl, peft`."""
    return ", ".join(group.label for group in moved)


def _group_of(package: str) -> str:
    for name, patterns in _GROUPS.items():
        if any(fnmatch.fnmatchcase(package, pattern) for pattern in patterns):
            return name
    return _OTHERS


def _shown(old: str | None, new: str | None) -> str:
    return f"{old or 'none'} -> {new or 'none'}"
