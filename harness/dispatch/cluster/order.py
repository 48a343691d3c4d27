"""What a node of a cluster is told of one run, and what it answers: JSON both ways."""

import json
import os
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict

from harness.containment.choice import VARIABLE
from harness.dispatch.dispatcher import Run
from harness.experiment import Extra
from harness.matrix import Cell
from harness.recipe import Recipe
from harness.stacks import kept_locks
from harness.stacks.kept_locks import KeptLock


class Order(BaseModel):
    """One run, to be prepared anew where it runs: paths, device and GPU are the node's own.

    Attributes:
        key: The experiment that the driver means; a node that would run another one refuses.
        folder: Where the driver was started: relative paths of the recipe start there.
        parallel_cells: How many cells the node takes at once.
        memory_bytes: RAM that the run may use.
        lock: The stack's lock, where it is not one of those that ship.
        containment: What the driver asks for (`harness.containment.choice`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    stack: str
    hardware: str
    dtype: str
    recipe: Recipe
    threads: int
    timeout_s: float
    fault: Path | None
    extras: list[Extra]
    repeat: int
    key: str
    folder: Path
    parallel_cells: int
    memory_bytes: int
    lock: KeptLock | None = None
    containment: str = ""

    @classmethod
    def of(cls, run: Run, parallel_cells: int, memory_bytes: int) -> Self:
        """Return the order for a run."""
        experiment = run.experiment
        release = experiment.cell.stack.partition("-")[2]
        return cls(
            stack=experiment.cell.stack,
            hardware=experiment.cell.hardware,
            dtype=experiment.cell.dtype,
            recipe=experiment.cell.recipe,
            threads=experiment.threads,
            timeout_s=experiment.timeout_s,
            fault=experiment.fault_file,
            extras=sorted(experiment.extras),
            repeat=run.repeat,
            key=experiment.key,
            folder=Path.cwd(),
            parallel_cells=parallel_cells,
            memory_bytes=memory_bytes,
            lock=kept_locks.find(release) if kept_locks.is_kept(release) else None,
            containment=os.environ.get(VARIABLE, ""),
        )

    @property
    def cell(self) -> Cell:
        """The cell that is to run."""
        return Cell(self.stack, self.hardware, self.dtype, self.recipe)


Kind = Literal["event", "say", "built", "record", "refused"]
"""`event`: the payload's; `say`: a line for the user; `built`: the stack is there; `record`: the end, as
the record's JSON text; `refused`: the end, and why the node could not run it."""


def answer_line(kind: Kind, content: Any = None) -> str:
    """Return one answer as a line."""
    return json.dumps({"kind": kind, "content": content}) + "\n"


def read_answer(line: str) -> tuple[Kind, Any]:
    """Return the kind and the content of an answer.

    Raises:
        ValueError: It is none.
    """
    answer = json.loads(line)
    if not isinstance(answer, dict) or not {"kind", "content"} <= answer.keys():
        raise ValueError(f"no answer of a node: {line[:200]!r}")
    return answer["kind"], answer["content"]
