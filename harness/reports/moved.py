"""What moved in a step between two releases: facts and defaults of each pair, gathered."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.record import Record
from harness.reports import differences
from harness.reports.differences import ABSENT, Facts
from harness.reports.tables import precision_rows
from harness.reports.wording import plain
from harness.upgrades import Pair

_FIRST = {
    "Precision": (
        "weights",
        "LoRA",
        "activations",
        "logits",
        "autocast",
        "args.bf16",
        "args.fp16",
        "FORCE_FLOAT32",
    ),
    "Packages": ("unsloth", "unsloth_zoo", "transformers", "trl", "peft", "torch"),
}
"""Names that are read first; all others follow, those of one side only last."""
# Each cell runs in a folder of its own (`harness.processes.process`), and the Trainer names its log
# after the time and the host: neither is a default that moved.
_OF_ONE_RUN = re.compile(
    r"[^\s\[{:,]*/(?:lora-gate-)?cell-\w{8}(?=/|\W|$)|(?<=/runs/)[A-Z][a-z]{2}\d\d_\d\d-\d\d-\d\d_[^\s,\]}/]+"
)


@dataclass(frozen=True)
class MovedFact:
    """One name with another value on the new side, and the pairs in which it moved so."""

    name: str
    old: str
    new: str
    pairs: tuple[Pair, ...]

    @property
    def words(self) -> str:
        """The fact as text: `autocast: float16 → off`."""
        return f"{self.name}: {self.old} → {self.new}"

    @property
    def one_sided(self) -> bool:
        """Whether the name is known to one release only: a new or a removed argument."""
        return ABSENT in (self.old, self.new)


@dataclass(frozen=True)
class MovedAspect:
    """What moved in one respect: changed values first, then names of one side only."""

    title: str
    facts: tuple[MovedFact, ...]

    @property
    def telling(self) -> list[MovedFact]:
        """The facts worth a line of their own.

        Between releases dozens of arguments and packages come and go; what tells is a value that
        both know. A variable of the environment tells even when it is new.
        """
        crowded = self.title in ("Training arguments", "Packages")
        return [fact for fact in self.facts if not (crowded and fact.one_sided)]


@dataclass(frozen=True)
class Presence:
    """A sentence that a run lists about itself, and on which sides of a step it stands."""

    text: str
    old: bool
    new: bool

    @property
    def both(self) -> bool:
        """Whether it stands on both sides."""
        return self.old and self.new


def precision(record: Record) -> Mapping[str, Any] | None:
    """Return the dtypes that ran, as text; None when the run ended before they were seen."""
    if record.executed is None and not record.precision.weights:
        return None
    return {name: value for name, value in precision_rows(record) if not name.startswith("max ")}


ASPECTS: tuple[tuple[str, Facts], ...] = (("Precision", precision), *differences.ASPECTS)
"""What is compared over a step, in reading order: precision before defaults before packages."""


def aspects(pairs: Sequence[Pair]) -> list[MovedAspect]:
    """Gather what moved in the pairs of a step that ran on both sides."""
    return [MovedAspect(title, tuple(_facts(title, facts, pairs))) for title, facts in ASPECTS]


def candidates(pair: Pair) -> list[str]:
    """Return what moved in one pair and may explain a moved verdict: facts, then defaults.

    Packages are left out: they moved by intent.
    """
    return [
        fact.words
        for aspect in aspects([pair])
        if aspect.title != "Packages"
        for fact in aspect.telling
    ]


def unseen(pairs: Sequence[Pair]) -> list[Record]:
    """Return the records of two-sided pairs that ended before their path was recorded."""
    return [
        cell.record
        for pair in pairs
        if pair.old and pair.new
        for cell in pair.sides
        if cell.record.executed is None
    ]


def presence(pairs: Sequence[Pair], listed: Callable[[Record], Sequence[str]]) -> list[Presence]:
    """Say for each sentence that the records list on which side it stands, moved ones first."""
    old = [text for pair in pairs if pair.old for text in listed(pair.old.record)]
    new = [text for pair in pairs if pair.new for text in listed(pair.new.record)]
    before, after = set(old), set(new)
    found = [Presence(text, text in before, text in after) for text in dict.fromkeys(old + new)]
    return sorted(found, key=lambda entry: entry.both)


def _facts(title: str, facts: Facts, pairs: Sequence[Pair]) -> list[MovedFact]:
    found: dict[tuple[str, str, str], list[Pair]] = {}
    for pair in pairs:
        old, new = (facts(cell.record) if cell else None for cell in (pair.old, pair.new))
        if old is None or new is None:
            continue
        for name in {*old, *new}:
            if name in old and name in new and _equal(old[name], new[name]):
                continue
            before, after = (_told(side, name) for side in (old, new))
            if before != after:
                found.setdefault((name, before, after), []).append(pair)
    moved = [MovedFact(*key, tuple(members)) for key, members in found.items()]
    first = _FIRST.get(title, ())
    spread = Counter(fact.name for fact in moved for _ in fact.pairs)

    def place(fact: MovedFact) -> tuple[int, bool, int, str]:
        name = fact.name.replace("-", "_")
        at = first.index(name) if name in first else len(first)
        return at, fact.one_sided, -spread[fact.name], fact.name

    return sorted(moved, key=place)


def _equal(old: Any, new: Any) -> bool:
    """Whether two plain values are the same, without writing them: nearly all of a step's are."""
    return type(old) is type(new) and not isinstance(old, list | dict) and bool(old == new)


def _told(facts: Mapping[str, Any], name: str) -> str:
    return _masked(plain(facts[name])) if name in facts else ABSENT


def _masked(text: str) -> str:
    return _OF_ONE_RUN.sub("…", text) if "/" in text else text
