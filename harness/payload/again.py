"""A fresh process after training: load what the run saved, and see whether it is what was trained."""

import gc
from pathlib import Path
from typing import Any

from . import compat
from .afterwards import by_step
from .backend import Backend, Loaded, is_adapter
from .events import EventLog
from .finetune import rendered
from .job import Job
from .phases import Phases
from .stack import import_stack


def run_again(job: Job, events: EventLog, phases: Phases) -> None:
    """Do what `job.again` names with the folder `job.saved`."""
    with phases.phase("import"):
        stack = import_stack(job.family, job.hardware)
    events.emit("replaced", parts=stack.replaced)
    from .faults import FaultContext

    again = _Again(job, stack.backend, FaultContext.load(job), events, phases)
    if job.again == "resume":
        again.resume()
        return
    assert job.again is not None
    again.evaluate(job.again, job.saved)
    if job.again == "merge":
        gc.collect()
        again.evaluate("base", job.model_dir)


class _Again:
    def __init__(
        self, job: Job, backend: Backend, fault: Any, events: EventLog, phases: Phases
    ) -> None:
        self._job = job
        self._backend = backend
        self._fault = fault
        self._events = events
        self._phases = phases

    def evaluate(self, kind: str, folder: str) -> None:
        """Load a saved adapter or a plain checkpoint, and evaluate the run's rows with its trainer."""
        from .evidence import saved
        from .evidence.evaluations import EvaluationEvidence

        with self._phases.phase("load"):
            loaded = self._backend.reopen(self._job, folder)
            figures: dict[str, Any] = {"files": saved.file_dtypes(folder)}
            if is_adapter(folder):
                memory = saved.adapter(loaded.model)
                figures["adapter"] = saved.difference(memory, saved.saved_adapter(folder))
                figures["adapter_digest"] = saved.digest(memory)
            self._reopened(kind, loaded, **figures)
            compat.mend(loaded.model)
            if is_adapter(folder):
                # A fault that changes the model expects peft's.
                self._fault.model_ready(loaded.model)
        evaluations = EvaluationEvidence(self._events, self._phases)
        trainer = self._trainer(loaded, [evaluations])
        evaluations.attach(trainer)
        with self._phases.phase("evaluate"):
            trainer.evaluate()
        evaluations.detach()

    def resume(self) -> None:
        """Start the run anew and let the trainer go on from its checkpoint."""
        from .evidence import saved
        from .evidence.evaluations import EvaluationEvidence
        from .evidence.steps import StepEvidence

        with self._phases.phase("load"):
            loaded = self._backend.load(self._job)
            step = int(Path(self._job.saved).name.split("-")[1])
            self._reopened("resume", loaded, resumed_from=step)
            compat.mend(loaded.model)
            self._fault.model_ready(loaded.model)
        steps = StepEvidence(self._events)
        evaluations = EvaluationEvidence(self._events, self._phases)
        trainer = self._trainer(loaded, [steps, evaluations])
        evaluations.attach(trainer)
        steps.attach(trainer)
        with self._phases.phase("train"):
            trainer.train(resume_from_checkpoint=self._job.saved)
        last = str(by_step(Path(self._job.saved).parent)[-1])
        memory = saved.adapter(trainer.model)
        state = saved.optimizer_state(trainer.optimizer)
        self._events.emit(
            "figures",
            adapter=saved.difference(memory, saved.saved_adapter(last)),
            adapter_digest=saved.digest(memory),
            optimizer=saved.difference(state, saved.saved_optimizer_state(last)),
        )

    def _reopened(self, kind: str, loaded: Loaded, **figures: Any) -> None:
        from .evidence import saved

        self._events.emit(
            "reopened",
            kind=kind,
            tokenizer=saved.tokenizer_figures(loaded.tokenizer),
            **saved.dtypes(loaded.model),
            **figures,
        )

    def _trainer(self, loaded: Loaded, callbacks: list[Any]) -> Any:
        with self._phases.phase("data"):
            texts = rendered(self._job, loaded.tokenizer)
            trainer = self._backend.trainer(self._job, loaded, texts, callbacks)
            self._fault.trainer_ready(trainer)
        return trainer
