"""An experiment: a cell with everything resolved for this machine, and the key that names it."""

import json
import os
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Protocol

from harness import corpus
from harness.containment.readable import with_targets
from harness.errors import InputError
from harness.hardware import Machine, Target, resolve
from harness.locations import PACKAGE, cache_dir
from harness.matrix import Cell
from harness.models import fixtures as model_fixtures
from harness.precision import Request, request
from harness.recipe import digest, file_digest
from harness.stacks import environments
from harness.stacks.stack import Stack, load_stack

_FIXTURE = "fixture:"
FIRST_STEP_FILE = "first_step.safetensors"
"""The payload's evidence file in its work folder."""


class Extra(StrEnum):
    """What a run does only where it is asked to. Its key is another one then."""

    FIRST_STEP = "first_step"
    """Keeps the first step's tensors."""
    RELOAD = "reload"
    """Saves the adapter, and evaluates it again in a fresh process."""
    MERGE = "merge"
    """Merges the adapter into the base, and evaluates that checkpoint in a fresh process."""
    RESUME = "resume"
    """Saves a checkpoint at each epoch, and goes on from the second in a fresh process."""


AFTERWARDS = frozenset({Extra.RELOAD, Extra.MERGE, Extra.RESUME})
"""What starts fresh processes of the stack when training is over."""


@dataclass(frozen=True)
class Experiment:
    """One cell, ready to run here.

    Attributes:
        key: Digest of all that determines the result: cell, stack, device, inputs, payload. Records
            with equal keys are repeats of one experiment.
        extras: What the run does beside training.
        preloaded: Whether it may be forked from a process that has imported the stack; never with a GPU.
        timeout_s: Wall seconds one run may take.
        threads: CPU threads of the payload.
    """

    cell: Cell
    stack: Stack
    target: Target
    request: Request
    model_dir: Path
    data_file: Path
    fault_file: Path | None
    extras: frozenset[Extra]
    preloaded: bool
    timeout_s: float
    threads: int
    parallel_cells: int
    key: str

    def inputs(self) -> list[Path]:
        """Return what the payload reads beside its job: files and folders, built."""
        fixtures = model_fixtures_dir()
        # All of them: a preloaded process gets cells of several.
        return (
            [fixtures] if self.model_dir.is_relative_to(fixtures) else with_targets(self.model_dir)
        )

    def write_job(self, work_dir: Path, *, paced: bool = False) -> tuple[Path, Path]:
        """Write job.json and its data into `work_dir`; return it and the path of the events file.

        Args:
            work_dir: The cell's own folder.
            paced: Whether it trains step by step as it is ordered.
        """
        fault_file = None
        if self.fault_file is not None:
            # Its own copy: nothing beside the plugin is the payload's to read.
            fault_file = work_dir / self.fault_file.name
            fault_file.write_bytes(self.fault_file.read_bytes())
        split = corpus.split_pairs(corpus.read_pairs(self.data_file), self.cell.recipe)
        train_file, eval_file = split.write(work_dir)
        events_file = work_dir / "events.jsonl"
        job = {
            "cell_id": self.cell.id,
            "family": self.stack.family,
            "recipe": self.cell.recipe.model_dump(mode="json"),
            "request": self.request.model_dump(),
            "hardware": self.target.for_payload(),
            "model_dir": str(self.model_dir),
            "train_file": str(train_file),
            "eval_file": str(eval_file),
            "work_dir": str(work_dir),
            "events_file": str(events_file),
            "fault_file": str(fault_file) if fault_file else None,
            "paced": paced,
            "extras": sorted(self.extras),
        }
        job_file = work_dir / "job.json"
        job_file.write_text(json.dumps(job, indent=1) + "\n", encoding="utf-8")
        return job_file, events_file


class MatrixLimits(Protocol):
    """What of a matrix holds for every cell."""

    @property
    def threads(self) -> int:
        """CPU threads of one cell."""
        ...

    @property
    def timeout_s(self) -> float:
        """Wall seconds one run may take."""
        ...


def prepare(
    cell: Cell,
    limits: MatrixLimits,
    machine: Machine,
    *,
    parallel_cells: int = 1,
    fault: Path | None = None,
    timeout_s: float | None = None,
    extras: AbstractSet[Extra] = frozenset(),
    preloaded: bool = False,
) -> Experiment:
    """Resolve a cell for this machine: stack, hardware, model and data, none of them built or read.

    Args:
        cell: What is to run.
        limits: The matrix that it is from.
        machine: Where it is to run.
        parallel_cells: How many share the machine.
        fault: A plugin to inject.
        timeout_s: In place of the matrix's.
        extras: What the run does beside training.
        preloaded: Whether a process that has imported the stack may run it; ignored with a GPU.

    Raises:
        UnknownStackError, HardwareError, SelectionError, InputError: Names what does not exist here.
    """
    target = resolve(cell.hardware, machine)
    stack = load_stack(cell.stack, "gpu" if target.on_gpu else "cpu")
    asked = request(cell.dtype)
    if fault is not None and not fault.is_file():
        raise InputError(f"no fault plugin at {fault}.")
    # A CUDA context does not survive a fork.
    preloaded = preloaded and not target.on_gpu and hasattr(os, "fork")
    data_file = corpus.data_file(cell.recipe)
    model_dir, model_digest = _model(cell.recipe.model)
    determines = {
        "cell": [cell.id, cell.recipe.digest],
        "stack": stack.digest,
        "device": [target.device, target.kind, target.bf16],
        "request": asked.model_dump(),
        "model": model_digest,
        "data": file_digest(data_file),
        "payload": _payload_digest(),
        "threads": limits.threads,
        "fault": file_digest(fault) if fault else None,
    }
    determines |= {"extras": sorted(extras)} if extras else {}
    determines |= {"preloaded": True} if preloaded else {}
    return Experiment(
        cell=cell,
        stack=stack,
        target=target,
        request=asked,
        model_dir=model_dir,
        data_file=data_file,
        fault_file=fault.resolve() if fault else None,
        extras=frozenset(extras),
        preloaded=preloaded,
        timeout_s=timeout_s or limits.timeout_s,
        threads=limits.threads,
        parallel_cells=parallel_cells,
        key=digest(determines),
    )


def build_inputs(experiment: Experiment, say: environments.Say) -> Path:
    """Build what the experiment needs and lacks (stack, model fixture); return the interpreter.

    Raises:
        StackBuildError: uv could not build the stack.
    """
    model = experiment.cell.recipe.model
    if model.startswith(_FIXTURE):
        model_fixtures.build(model.removeprefix(_FIXTURE), experiment.model_dir)
    return environments.ensure(experiment.stack, say)


def model_fixtures_dir() -> Path:
    """Return the folder of the checkpoints that are built from a seed."""
    return cache_dir().absolute() / "models"


@cache
def _model(model: str) -> tuple[Path, str]:
    if model.startswith(_FIXTURE):
        name = model.removeprefix(_FIXTURE)
        identity = model_fixtures.identity(name)
        # The name matters: old releases decide on float16 by the architecture in the path.
        return model_fixtures_dir() / identity / f"gemma-3-tiny-{name}", identity
    path = Path(model).expanduser().resolve()
    if not (path / "config.json").is_file():
        raise InputError(
            f"no model at {path} (from {model!r}): the folder needs a config.json. Download the "
            "checkpoint yourself under its terms and give its folder, or leave --model out."
        )
    # Hashing gigabytes of weights at every start would cost more than it tells.
    files = [(p.name, p.stat().st_size, p.stat().st_mtime_ns) for p in sorted(path.iterdir())]
    return path, digest([str(path), files])


@cache
def _payload_digest() -> str:
    sources = sorted((PACKAGE / "payload").rglob("*.py"))
    return digest([[p.name, p.read_text(encoding="utf-8")] for p in sources])
