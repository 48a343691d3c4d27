"""The record itself."""

from datetime import datetime
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from harness.record.afterwards import Afterwards, Failure
from harness.record.containment import Containment
from harness.record.data import Data, PlainData
from harness.record.model import Adapter, BaseWeights, ExecutedPath, ModelShape, Precision
from harness.record.surroundings import Conditions, HardwareInfo, StackInfo
from harness.record.training import (
    Evaluation,
    Phase,
    Probe,
    Rows,
    Scaler,
    Step,
    Translation,
    TranslationScores,
)

SCHEMA_VERSION = 1


class Record(Data):
    """One cell run."""

    schema_version: Literal[1] = 1
    cell_id: str
    key: str
    """Digest of all that determines the result; equal keys are repeats of one experiment."""
    repeat: int = 0
    status: Literal["COMPLETED", "CRASHED", "OOM", "TIMEOUT", "INFRA"]
    failure: Failure | None = None
    started_at: str
    duration_s: float
    harness_version: str
    fault: str | None = None
    """Name of the fault plugin that was injected; such a record never becomes a baseline."""
    extras: list[str] = []
    """What the run did beside training (`harness.experiment.Extra`); such a record never becomes a
    baseline."""
    preloaded: bool = False
    """Whether a process that had imported the stack before forked it: there is no import phase, and such a
    record never becomes a baseline."""
    dtype_request: str
    recipe: PlainData
    recipe_digest: str
    stack: StackInfo
    hardware: HardwareInfo
    containment: Containment | None = None
    """What kept the payload in; None where none was started, or by a harness of before there was any."""
    phases: list[Phase] = []
    conditions: list[Conditions] = []
    """One entry for each phase that was long enough to see."""
    steps: list[Step] = []
    evaluations: list[Evaluation] = []
    executed: ExecutedPath | None = None
    precision: Precision = Field(default_factory=Precision)
    model: ModelShape | None = None
    adapter: Adapter | None = None
    base_weights: BaseWeights | None = None
    rows: dict[Literal["train", "evaluation"], Rows] = {}
    probe: Probe | None = None
    scaler: Scaler | None = None
    afterwards: list[Afterwards] = []
    translations: list[Translation] = []
    scores: TranslationScores | None = None
    data: PlainData = {}
    """Row and token counts, and digests of model, tokenizer and data files."""

    @model_validator(mode="before")
    @classmethod
    def _former_first_step(cls, data: Any) -> Any:
        # Until there was a second extra, the first had a field of its own.
        if isinstance(data, dict) and "first_step" in data:
            data = dict(data)
            if data.pop("first_step"):
                data.setdefault("extras", ["first_step"])
        return data

    @field_validator("started_at")
    @classmethod
    def _is_a_moment(cls, text: str) -> str:
        datetime.fromisoformat(text)
        return text

    @property
    def eval_losses(self) -> list[float]:
        """Reported evaluation losses in order, a missing one as NaN."""
        return [float("nan") if e.eval_loss is None else e.eval_loss for e in self.evaluations]
