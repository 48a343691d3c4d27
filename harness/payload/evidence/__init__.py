"""Evidence taken while the run goes on, by callbacks and hooks that do not disturb it.

No hook draws a random number, keeps a graph alive or changes a tensor: a run with and without
evidence trains the same weights.
"""

from typing import Any

from ..backend import Loaded
from ..events import EventLog
from ..job import Job
from ..phases import Phases
from .adapter import AdapterEvidence
from .base_weights import BaseWeightsEvidence
from .evaluations import EvaluationEvidence
from .executed_path import executed_path
from .first_step import FirstStepEvidence
from .precision import PrecisionEvidence
from .probe import Probe
from .rows import RowsEvidence
from .steps import StepEvidence


class Evidence:
    """All collectors of one run, in the order the run needs them."""

    def __init__(self, job: Job, events: EventLog, phases: Phases) -> None:
        self._job = job
        self._events = events
        self._phases = phases
        self._evaluations = EvaluationEvidence(events, phases)
        self._steps = StepEvidence(events)
        self._precision = PrecisionEvidence(job.device)
        file = job.first_step_file
        self._first_step = FirstStepEvidence(file) if file else None
        self._requested: dict[str, Any] = {}
        self._adapter: AdapterEvidence | None = None
        self._base_weights: BaseWeightsEvidence | None = None
        self._rows: RowsEvidence | None = None
        self._probe: Probe | None = None

    def callbacks(self) -> list[Any]:
        """Return the trainer callbacks."""
        asked = [self._first_step] if self._first_step else []
        return [*asked, self._steps, self._evaluations]

    def attach(self, trainer: Any, loaded: Loaded, texts: dict[str, list[str]]) -> None:
        """Hook the model and the trainer just before training."""
        self._requested = loaded.requested
        self._adapter = AdapterEvidence(loaded.model)
        self._base_weights = BaseWeightsEvidence(loaded.model, self._job.model_dir)
        if self._first_step:
            self._first_step.attach(trainer)
        self._precision.attach(loaded.model, trainer)
        self._evaluations.attach(trainer)
        self._steps.attach(trainer)
        self._rows = RowsEvidence(texts, loaded.tokenizer, self._job.recipe)
        self._probe = Probe(trainer, self._adapter, self._phases)
        _watch(trainer, self._rows, self._probe)

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
            executed=executed_path(trainer, self._precision, self._requested),
        )

    def probe(self) -> None:
        """Compute apart what the trainer reported, once the run's own evidence is in."""
        assert self._rows is not None
        assert self._probe is not None
        self._events.emit("rows", **self._rows.result())
        self._probe.run(self._events)


def _watch(trainer: Any, rows: RowsEvidence, probe: Probe) -> None:
    """Show both every batch before the trainer takes anything out of it."""
    training_step, prediction_step = trainer.training_step, trainer.prediction_step

    def watched_training(model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        rows.see("train", inputs)
        probe.see(inputs, kwargs.get("num_items_in_batch", args[0] if args else None))
        return training_step(model, inputs, *args, **kwargs)

    def watched_prediction(model: Any, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        rows.see("eval", inputs)
        return prediction_step(model, inputs, *args, **kwargs)

    trainer.training_step, trainer.prediction_step = watched_training, watched_prediction
