"""Process pairs measured with slowdowns of known size, kept as JSON lines: one line a pair and slowdown."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from harness.abandoned import whole_file
from harness.errors import CorruptRecordError, first_problem
from harness.throughput.turns import own_error, paired_log_ratio

Kind = Literal["sleep", "matmul", "loss"]


class Block(BaseModel):
    """Turns of one process pair under one slowdown.

    Attributes:
        pair: Number of the process pair; blocks of one pair share its luck.
        kind: What slows: the plugin of that name in `fixtures/slowdowns`.
        size: Injected slowdown as a share of the other side's step time; 0 is none.
        slowed: The process that was slowed; the two take it in turns from pair to pair.
        plain_s: Wall seconds of each step of the other, turn by turn.
        slowed_s: Wall seconds of each step of the slowed one.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    pair: int = Field(ge=0)
    kind: Kind
    size: float = Field(ge=0)
    slowed: Literal["a", "b"]
    plain_s: tuple[float, ...] = Field(min_length=1)
    slowed_s: tuple[float, ...] = Field(min_length=1)

    @property
    def sides(self) -> "Sides":
        """Its times, the slowed ones last."""
        return Sides(self.plain_s, self.slowed_s)


@dataclass(frozen=True)
class Sides:
    """What a rule sees of a process pair: wall seconds of the steps before and after a change."""

    before: tuple[float, ...]
    after: tuple[float, ...]

    @cached_property
    def log_ratio(self) -> float:
        """What the gate makes of it: log(after / before), above 0 where it became slower."""
        return paired_log_ratio(self.before, self.after)

    @property
    def own_error(self) -> float:
        """Standard error of the log ratio by its own turns, NaN for fewer than four."""
        return own_error(self.before, self.after)

    @cached_property
    def exchanged(self) -> "Sides":
        """The same with the roles exchanged."""
        return Sides(self.after, self.before)


def read_pool(file: Path) -> list[Block]:
    """Return the blocks of a file; none where there is no file.

    Raises:
        CorruptRecordError: A line is no block.
    """
    if not file.exists():
        return []
    blocks = []
    for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            blocks.append(Block.model_validate_json(line))
        except ValidationError as error:
            raise CorruptRecordError(
                f"{file}, line {number}: {first_problem(error)}. Delete the file to measure again."
            ) from error
    return blocks


def append(file: Path, blocks: Iterable[Block]) -> None:
    """Add the blocks of a finished pair, all of them or, when this is cut short, none.

    Raises:
        StorageError: Disk full or folder not writable.
    """
    text = "".join(f"{block.model_dump_json()}\n" for block in blocks)
    before = file.read_text(encoding="utf-8") if file.exists() else ""
    with whole_file(file) as new:
        new.write_text(before + text, encoding="utf-8")
