"""From a payload's events and the end of its process to a record."""

import signal
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from sacrebleu.metrics.chrf import CHRF

from harness import __version__
from harness.errors import InputError
from harness.experiment import Experiment
from harness.hardware import Machine, to_record
from harness.models.gemma3 import architecture
from harness.record import (
    Adapter,
    Afterwards,
    BaseWeights,
    Evaluation,
    ExecutedPath,
    Failure,
    ModelShape,
    Phase,
    Precision,
    Probe,
    Record,
    Rows,
    Scaler,
    Step,
    Translation,
    TranslationScores,
)

Status = Literal["COMPLETED", "CRASHED", "OOM", "TIMEOUT", "INFRA"]

# What the kernel and Rust's libraries say.
_NO_SPACE = ("No space left on device", "Disk quota exceeded", "os error 28")
_DISK_FULL = "disk full"
_NOT_CONTAINED = "containment"
_BUBBLEWRAP_SAYS = "bwrap: "
_UNCONTAINED = "HARNESS_CONTAINMENT=limits runs cells without it (docs/containment.md)."
# What allocators say: torch on a GPU and on a CPU, Python, glibc.
_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "MemoryError", "Cannot allocate memory")


@dataclass(frozen=True)
class Hit:
    """A limit for which the harness ended a payload."""

    limit: Literal["time", "memory", "disk", "processes", "answer"]
    text: str


@dataclass(frozen=True)
class Ending:
    """How the payload process ended, seen from outside."""

    exit_code: int | None
    duration_s: float
    started_at: str
    output_tail: str
    hit: Hit | None = None
    oom_killer: bool = False
    """Whether the kernel's out-of-memory killer struck while the process ran."""
    disk_full: bool = False
    """Whether its work folder had no space left when it ended."""


def build_record(
    experiment: Experiment,
    machine: Machine,
    repeat: int,
    events: list[dict[str, Any]],
    ending: Ending,
) -> Record:
    """Assemble the record of one run, finished or not."""
    failure = _failure(events, ending)
    evidence = next(_of("evidence", events), {})
    translations = [
        Translation(**row) for event in _of("translations", events) for row in event["rows"]
    ]
    hardware = to_record(experiment.target, machine, experiment.threads, experiment.parallel_cells)
    hardware.replaced = [part for event in _of("replaced", events) for part in event["parts"]]
    return Record(
        cell_id=experiment.cell.id,
        key=experiment.key,
        repeat=repeat,
        status=_status(failure, ending),
        failure=failure,
        started_at=ending.started_at,
        duration_s=ending.duration_s,
        harness_version=__version__,
        fault=experiment.fault_file.stem if experiment.fault_file else None,
        extras=sorted(experiment.extras),
        dtype_request=experiment.cell.dtype,
        recipe=experiment.cell.recipe.model_dump(mode="json"),
        recipe_digest=experiment.cell.recipe.digest,
        stack=experiment.stack.info(),
        hardware=hardware,
        phases=[Phase(**event) for event in _of("phase_end", events)],
        steps=[Step(**event) for event in _of("step", events)],
        evaluations=[Evaluation(**event) for event in _of("evaluation", events)],
        executed=ExecutedPath(**evidence["executed"]) if evidence else None,
        precision=Precision(**evidence["precision"]) if evidence else Precision(),
        adapter=Adapter(**evidence["adapter"]) if evidence else None,
        base_weights=BaseWeights(**evidence["base_weights"]) if evidence else None,
        rows={split: Rows(**row) for event in _of("rows", events) for split, row in event.items()},
        probe=next((Probe(**event) for event in _of("probe", events)), None),
        model=model_shape(experiment.model_dir),
        scaler=Scaler(**evidence["scaler"]) if evidence else None,
        afterwards=[Afterwards(**event) for event in _of("afterwards", events)],
        translations=translations,
        scores=score(translations),
        data={"model": experiment.model_dir.name, "data": experiment.data_file.name},
    )


def record_unstarted(
    experiment: Experiment,
    machine: Machine,
    repeat: int,
    message: str,
    kind: str = "StackBuildError",
    phase: str = "build",
) -> Record:
    """Return the record of a run whose process never started: INFRA, and why."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    ending = Ending(exit_code=None, duration_s=0.0, started_at=now, output_tail="")
    record = build_record(experiment, machine, repeat, [], ending)
    failure = Failure(phase=phase, kind=kind, message=message)
    return record.model_copy(update={"status": "INFRA", "failure": failure})


def model_shape(folder: Path) -> ModelShape | None:
    """Return the shape of a checkpoint's decoder; None where its config.json tells none."""
    try:
        shape = architecture(folder)
    except InputError:
        return None
    return ModelShape(
        matrix_parameters=shape.linear_parameters + shape.embedding_parameters,
        layers=shape.num_hidden_layers,
        query_channels=shape.query_size,
        sliding_window=shape.sliding_window,
    )


def score(translations: list[Translation]) -> TranslationScores | None:
    """Score translations with sacrebleu's chrF2; None when there are none."""
    if not translations:
        return None
    metric = CHRF()
    hypotheses = [t.hypothesis for t in translations]
    references = [t.reference for t in translations]
    exact = sum(h == r for h, r in zip(hypotheses, references, strict=True))
    return TranslationScores(
        exact_match=exact / len(translations),
        chrf=metric.corpus_score(hypotheses, [references]).score,
        signature=str(metric.get_signature()),
    )


def _of(kind: str, events: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for event in events:
        if event["event"] == kind:
            yield {key: value for key, value in event.items() if key != "event"}


def _status(failure: Failure | None, ending: Ending) -> Status:
    if failure is None:
        return "COMPLETED"
    limit = ending.hit.limit if ending.hit else None
    if limit == "time":
        return "TIMEOUT"
    if limit == "memory" or ending.oom_killer:
        return "OOM"
    if failure.kind in (_DISK_FULL, _NOT_CONTAINED):
        return "INFRA"
    if limit is not None:
        return "CRASHED"
    if any(sign in failure.message or sign in failure.kind for sign in _OUT_OF_MEMORY):
        return "OOM"
    return "CRASHED"


def _failure(events: list[dict[str, Any]], ending: Ending) -> Failure | None:
    finished = any(event["event"] == "done" for event in events)
    if ending.exit_code == 0 and finished:
        return None
    phases = [event["name"] for event in _of("phase", events)]
    phase = phases[-1] if phases else "start"
    raised = next(_of("failure", events), None)
    if not events and ending.exit_code == 1 and ending.output_tail.startswith(_BUBBLEWRAP_SAYS):
        message = (
            f"its containment did not start: {ending.output_tail.strip()[:500]}. {_UNCONTAINED}"
        )
        return Failure(phase=phase, kind=_NOT_CONTAINED, message=message)
    if _for_want_of_space(raised, ending):
        said = {"message": "", **(raised or {"phase": phase})}
        said |= {"kind": _DISK_FULL, "message": f"{work_disk('no space left')} {said['message']}"}
        return Failure(**said, output_tail=ending.output_tail)
    if ending.hit is not None:
        return Failure(
            phase=phase,
            kind=f"{ending.hit.limit} limit",
            message=ending.hit.text,
            output_tail=ending.output_tail,
        )
    if raised is not None:
        return Failure(**raised, output_tail=ending.output_tail)
    return Failure(
        phase="exit" if finished else phase,
        kind=_exit_name(ending.exit_code),
        message="the process died on its way out, after the fine-tune had finished"
        if finished
        else "the process ended without a word; its last output is below",
        output_tail=ending.output_tail,
    )


def _for_want_of_space(raised: dict[str, Any] | None, ending: Ending) -> bool:
    if ending.hit is not None:
        # A line that was cut where the space ended, and gone on with when there was some again.
        return ending.hit.limit == "answer" and ending.disk_full
    if raised is not None:
        return any(sign in raised["message"] for sign in _NO_SPACE)
    # What it said last is lost with the rest. SIGBUS: a file in memory could not grow.
    killed = ending.exit_code is not None and ending.exit_code < 0
    return ending.disk_full and (not killed or ending.exit_code == -signal.SIGBUS)


def work_disk(why: str) -> str:
    """Say why cells cannot work in the folder of temporary files, and what to change."""
    return (
        f"{tempfile.gettempdir()}, where cells work: {why}. Free some space, or set TMPDIR to a folder that "
        "has it."
    )


def _exit_name(code: int | None) -> str:
    if code is not None and code < 0:
        return signal.Signals(-code).name
    return f"exit code {code}"
