"""From a payload's events and the end of its process to a record."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sacrebleu.metrics.chrf import CHRF

from harness import __version__
from harness.ending import Ending, failure_of, status_of
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


def build_record(
    experiment: Experiment,
    machine: Machine,
    repeat: int,
    events: list[dict[str, Any]],
    ending: Ending,
) -> Record:
    """Assemble the record of one run, finished or not."""
    failure = failure_of(events, ending)
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
        status=status_of(failure, ending),
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
