"""An update of one real lock, and judged cells of both of its sides."""

import subprocess
from pathlib import Path
from typing import Any

from harness.cell_result import CellResult
from harness.dependency_update.update import Moved, Update
from harness.stacks.kept_locks import KeptLock, keep
from harness.stacks.stack import lock_path, versions_of
from harness.verdict import Outcome
from tests.unit.gate_results import on_release

NEWEST = lock_path("2026.10.9").read_text(encoding="utf-8")


def update(name: str = "trl", old: str = "0.0.1") -> Update:
    """Return an update of one package of the newest shipped lock; both sides are kept."""
    new = versions_of(NEWEST)[name]
    before = NEWEST.replace(f"\n{name}=={new} ", f"\n{name}=={old} ")
    assert before != NEWEST
    sides = [KeptLock(version="2026.10.9", python="3.11", lock=lock) for lock in (before, NEWEST)]
    for side in sides:
        keep(side)
    moved = Moved(name=name, old=old, new=new, line=14)
    return Update(file="requirements.txt", old=sides[0], new=sides[1], moved=(moved,))


def side(
    of: Update, place: int, outcome: Outcome = Outcome.PASS, recipe: str = "mild", **changes: Any
) -> CellResult:
    """Return a cell of the old (0) or the new (1) side, on an emulated T4."""
    release = of.releases[place]
    stack = {"name": f"unsloth-{release}", "release": "2026.10.9"}
    name = {"cell_id": f"unsloth-{release}/t4-emulated/auto/{recipe}"}
    found = on_release(release, outcome, recipe, **{**name, "stack": stack, **changes})
    hardware = found.record.hardware.model_copy(update={"name": "t4-emulated"})
    record = found.record.model_copy(update={"hardware": hardware})
    return found.model_copy(update={"record": record, "place": place})


def both(of: Update, old: Outcome, new: Outcome, recipe: str = "mild") -> list[CellResult]:
    """Return a cell of each side."""
    return [side(of, 0, old, recipe), side(of, 1, new, recipe)]


def git(folder: Path, *arguments: str) -> None:
    """Run git in a folder, as somebody."""
    subprocess.run(
        ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", *arguments],
        cwd=folder,
        check=True,
        capture_output=True,
    )
