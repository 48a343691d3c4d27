"""What an update does, judged over all cells that were to answer it.

| seen | answer | exit code |
|---|---|---|
| a cell that passed on the old stack is red, or its eval_loss moved | NOT SAFE | 1 |
| a cell lost or not run, a red one without an old side, or nothing that moved was installed | NO ANSWER | 19 |
| red on both sides, all else compared | STILL RED | 0 |
| fixed, or passing on both sides | FIXED, SAFE | 0 |
"""

from collections.abc import Sequence
from dataclasses import dataclass

from harness.cell_result import CellResult
from harness.dependency_update.update import Moved, Update
from harness.errors import IncompleteError
from harness.gate import GateResult
from harness.profiles import EMULATED
from harness.record import Record
from harness.releases import release_of
from harness.reports import upgrading
from harness.reports.facts import loss_words, red_verdicts
from harness.reports.wording import count
from harness.stacks.stack import load_stack
from harness.stacks.stacks_file import Where
from harness.upgrades import Step, StepVerdict, steps

_NAMED = 3
_UNANSWERED = StepVerdict.NO_ANSWER
_SAID: dict[StepVerdict, str] = {
    StepVerdict.NOT_SAFE: "not safe to merge",
    StepVerdict.NO_ANSWER: "no answer, neither safe nor unsafe",
    StepVerdict.STILL_RED: "red before and after: this update neither breaks nor fixes it",
    StepVerdict.FIXED: "safe to merge, and it fixes what was red",
    StepVerdict.SAFE: "safe to merge",
}


@dataclass(frozen=True)
class Answer:
    """The answer to one update.

    Attributes:
        reasons: Why, in words; what stands in the way of an answer first.
        missing: Ids of the cells that were to be run and were not.
        unseen: Packages that moved and that no cell which ran installs.
    """

    verdict: StepVerdict
    reasons: tuple[str, ...]
    missing: tuple[str, ...] = ()
    unseen: tuple[Moved, ...] = ()

    @property
    def title(self) -> str:
        """The verdict and what it means for the pull request."""
        return f"{upgrading.SYMBOLS[self.verdict]} {self.verdict}: {_SAID[self.verdict]}"

    @property
    def exit_code(self) -> int:
        """1 for NOT SAFE alone; 19 without an answer; else 0."""
        if self.verdict is StepVerdict.NOT_SAFE:
            return 1
        return IncompleteError.exit_code if self.verdict is StepVerdict.NO_ANSWER else 0


def answer(update: Update, result: GateResult | None, expected: Sequence[str]) -> Answer:
    """Judge an update.

    Args:
        update: What moved.
        result: Of the cells that ran; None where none did.
        expected: Ids of all cells that were to be run.
    """
    cells = result.cells if result else []
    ran = {cell.record.cell_id for cell in cells}
    missing = tuple(cell_id for cell_id in expected if cell_id not in ran)
    found = steps(cells)
    unseen = _unseen(update, [cell.record for cell in cells]) if cells else update.moved
    gaps = list(_gaps(cells, found, missing))
    if cells and len(unseen) == len(update.moved):
        gaps.append("none of the packages that moved is installed where these cells run")
    verdict = found[0].verdict if found else StepVerdict.NO_ANSWER
    if verdict is not StepVerdict.NOT_SAFE and gaps:
        verdict = StepVerdict.NO_ANSWER
    told = [upgrading.reason(found[0]), *_broken(found[0])] if found else []
    return Answer(
        verdict, (*gaps, *told) if verdict is _UNANSWERED else (*told, *gaps), missing, unseen
    )


def _broken(step: Step) -> list[str]:
    """Say of the cells that regress which check saw it, and what became of their eval_loss."""
    broken = [pair for pair in step.pairs if pair.verdict is StepVerdict.NOT_SAFE]
    return [
        f"{pair.family.name}: {'; '.join(_seen(pair.old, pair.new))}"
        for pair in broken[:_NAMED]
        if pair.old and pair.new
    ]


def _seen(old: CellResult, new: CellResult) -> list[str]:
    losses = f"eval_loss {loss_words(old.record)}, now {loss_words(new.record)}"
    return [losses, *(f"{found.check}: {found.message}" for found in red_verdicts(new)[:_NAMED])]


def _gaps(cells: Sequence[CellResult], found: Sequence[Step], missing: Sequence[str]) -> list[str]:
    gaps = []
    if missing:
        gaps.append(f"{count(len(missing), 'cell')} not run: {_names(missing)}")
    lost = [c.record.cell_id for c in cells if c.outcome.is_unanswered_run]
    if lost:
        gaps.append(
            f"{count(len(lost), 'cell')} lost by time limit or infrastructure: {_names(lost)}"
        )
    if not found:
        gaps.append("no cell ran on both stacks")
    compared = {
        cell.record.cell_id
        for step in found
        for pair in step.pairs
        if pair.old and pair.new
        for cell in pair.sides
    }
    alone = [
        cell.record.cell_id
        for cell in cells
        if cell.outcome.is_red and cell.record.cell_id not in compared
    ]
    if alone:
        gaps.append(
            f"{count(len(alone), 'red cell')} with no old side to compare with: {_names(alone)}"
        )
    return gaps


def _unseen(update: Update, records: Sequence[Record]) -> tuple[Moved, ...]:
    """Return what moved in the lock and is the same, or absent, in the environments that the cells ran in."""
    places: set[Where] = {_where(record) for record in records if release_of(record)}
    moved = set[str]()
    for where in places:
        old, new = (load_stack(f"unsloth-{release}", where).versions for release in update.releases)
        moved |= {name for name in {*old, *new} if old.get(name) != new.get(name)}
    return tuple(one for one in update.moved if one.name not in moved)


def _where(record: Record) -> Where:
    name = record.hardware.name
    return "cpu" if name == "cpu" or name.endswith(EMULATED) else "gpu"


def _names(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
