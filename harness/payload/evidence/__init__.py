"""Evidence taken while the run goes on, by callbacks and hooks that do not disturb it.

No hook draws a random number, keeps a graph alive or changes a tensor: a run with and without
evidence trains the same weights.
"""

from typing import Any

from ..backend import Loaded
from ..events import EventLog
from ..job import Job
from .adapter import AdapterEvidence
from .base_weights import BaseWeightsEvidence
from .evaluations import EvaluationEvidence
from .executed_path import executed_path
from .first_step import FirstStepEvidence
from .precision import PrecisionEvidence
from .steps import StepEvidence


class Evidence:
    """All collectors of one run, in the order the run needs them."""

    def __init__(self, job: Job, events: EventLog) -> None:
        self._job = job
        self._events = events
        self._evaluations = EvaluationEvidence(events)
        self._steps = StepEvidence(events)
        self._precision = PrecisionEvidence(job.device)
        file = job.first_step_file
        self._first_step = FirstStepEvidence(file) if file else None
        self._adapter: AdapterEvidence | None = None
        self._base_weights: BaseWeightsEvidence | None = None

    def callbacks(self) -> list[Any]:
        """Return the trainer callbacks."""
        asked = [self._first_step] if self._first_step else []
        return [*asked, self._steps, self._evaluations]

    def attach(self, trainer: Any, loaded: Loaded) -> None:
        """Hook the model and the trainer just before training."""
        self._adapter = AdapterEvidence(loaded.model)
        self._base_weights = BaseWeightsEvidence(loaded.model, self._job.model_dir)
        if self._first_step:
            self._first_step.attach(trainer)
        self._precision.attach(loaded.model, trainer)
        self._evaluations.attach(trainer)
        self._steps.attach(trainer)

    def finish(self, trainer: Any) -> None:
        """Emit what is known only after training, and take every hook away."""
        assert self._adapter is not None
        assert self._base_weights is not None
        if self._first_step:
            self._first_step.write()
        self._precision.detach()
        self._evaluations.detach()
        self._events.emit(
            "evidence",
            adapter=self._adapter.result(),
            base_weights=self._base_weights.result(),
            precision=self._precision.result(),
            scaler=self._steps.scaler(),
            executed=executed_path(trainer, self._precision),
        )
