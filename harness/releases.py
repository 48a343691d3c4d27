"""Releases in a run: which Unsloth release each cell is of, and one cell's history over them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from packaging.version import InvalidVersion, Version

from harness.cell_result import CellResult
from harness.record import Record, with_emulation
from harness.stacks.kept_locks import MARK
from harness.stacks.stack import CURRENT, FRONTIER, LIVE
from harness.verdict import Outcome


@dataclass(frozen=True)
class Release:
    """One Unsloth release of a run: a numbered stack, a kept lock, `current` or `frontier`."""

    stack: str
    version: str
    place: int | None = None
    """Place in the order that the run gave; None: by version."""

    @property
    def label(self) -> str:
        """The version, after the stack's name where that is not made of it."""
        release = self.stack.removeprefix("unsloth-")
        if release.partition(MARK)[0] == self.version:
            return release
        return f"{self.stack} ({self.version})"

    @property
    def order(self) -> tuple[int, Version, int, str]:
        """Sort by place, then version; of equal ones the numbered stack, then `current`, then `frontier`."""
        rank = {f"unsloth-{self.version}": 0, CURRENT: 1, FRONTIER: 2}.get(self.stack, 3)
        return self.place or 0, Version(self.version), rank, self.stack


@dataclass(frozen=True)
class Family:
    """What cells of several releases must share to be compared: everything but the stack."""

    hardware: str
    kind: str
    dtype: str
    recipe: str
    recipe_digest: str
    fault: str | None
    apart: str = ""
    """What tells it from another family of the same name; empty where there is none."""

    @property
    def name(self) -> str:
        """The cell id without its stack, saying `emulated`: `t4-emulated/auto/hot`."""
        name = self._labelled(f"{self.hardware}/{self.dtype}/{self.recipe}")
        return f"{name} [{self.apart}]" if self.apart else name

    @property
    def machine(self) -> str:
        """The hardware's name, saying `emulated` when the hardware was."""
        return self._labelled(self.hardware)

    def _labelled(self, name: str) -> str:
        return with_emulation(name, self.kind if self.kind == "emulated" else "")


@dataclass(frozen=True)
class History:
    """One family over the releases of a run, oldest first; None where it was not run."""

    family: Family
    cells: tuple[tuple[Release, CellResult | None], ...]

    @property
    def first_red(self) -> Release | None:
        """The first release on which the family is red."""
        return next((r for r, cell in self.cells if cell and cell.outcome.is_red), None)

    @property
    def first_fixed(self) -> Release | None:
        """The first release after the first red one on which the family passes."""
        broken = self.first_red
        later = [entry for entry in self.cells if broken and entry[0].order > broken.order]
        return next((r for r, cell in later if cell and cell.outcome is Outcome.PASS), None)


def histories(cells: Sequence[CellResult]) -> list[History]:
    """Return every family of a run over all its releases, in order of appearance.

    Of several cells of one family on one release the worst one counts.

    Returns:
        Empty unless some family ran on two releases: there is nothing to compare then.
    """
    slots: dict[Family, dict[Release, CellResult]] = {}
    for cell in cells:
        if release := release_of(cell.record, cell.place):
            slot = slots.setdefault(family_of(cell.record), {})
            before = slot.get(release)
            slot[release] = min(before, cell, key=_badness) if before else cell
    if not any(len(slot) > 1 for slot in slots.values()):
        return []
    releases = sorted({r for slot in slots.values() for r in slot}, key=lambda r: r.order)
    alike: dict[str, list[Family]] = {}
    for family in slots:
        alike.setdefault(family.name, []).append(family)
    return [
        History(
            replace(family, apart=_apart(family, alike[family.name])),
            tuple((release, slot.get(release)) for release in releases),
        )
        for family, slot in slots.items()
    ]


def left_out(cells: Sequence[CellResult]) -> list[str]:
    """Return the Unsloth stacks whose version has no place in the order, each once."""
    return list(
        dict.fromkeys(
            cell.record.stack.name
            for cell in cells
            if cell.record.stack.family == "unsloth" and release_of(cell.record) is None
        )
    )


def release_of(record: Record, place: int | None = None) -> Release | None:
    """Return the release a record is of.

    Args:
        record: Of any stack.
        place: As in `Release`.

    Returns:
        None for a reference stack, and for a version that is not one (PEP 440).
    """
    stack = record.stack
    if stack.family != "unsloth":
        return None
    version = stack.release
    if stack.name in LIVE and record.executed:
        version = record.executed.packages.get("unsloth", version)
    try:
        Version(version)
    except InvalidVersion:
        return None
    return Release(stack.name, version, place)


def family_of(record: Record) -> Family:
    """Return what a record's cell shares with the same cell on another release."""
    return Family(
        record.hardware.name,
        record.hardware.kind,
        record.dtype_request,
        str(record.recipe.get("name") or record.recipe_digest),
        record.recipe_digest,
        record.fault,
    )


def _apart(family: Family, alike: Sequence[Family]) -> str:
    told = []
    if len({other.recipe_digest for other in alike}) > 1:
        told.append(f"recipe {family.recipe_digest}")
    if len({other.fault for other in alike}) > 1:
        told.append(f"fault {family.fault}" if family.fault else "no fault")
    return ", ".join(told)


def _badness(cell: CellResult) -> tuple[bool, bool]:
    return not cell.outcome.is_red, cell.outcome is Outcome.PASS
