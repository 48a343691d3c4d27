"""Fault plugins: a file whose `install(context)` breaks the run on purpose.

A fault proves that a check can see. It is loaded in the payload before anything is loaded or
trained, lives in one process, and is named in the record.
"""

import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .job import Job


class FaultContext:
    """What a fault may reach.

    Attributes:
        torch, transformers, peft, trl, unsloth: The imported modules, None where the stack has none.
        trainer_class: The class about to be used.
        recipe: The recipe's fields; changes are seen by the run.
        level: How much a slowdown does, in seconds a step: 0 until an order of a paced run sets it.
    """

    def __init__(self, job: Job) -> None:
        self.recipe = job.recipe
        self.level = 0.0
        self.torch: Any = sys.modules.get("torch")
        self.transformers: Any = sys.modules.get("transformers")
        self.peft: Any = sys.modules.get("peft")
        self.trl: Any = sys.modules.get("trl")
        self.unsloth: Any = sys.modules.get("unsloth")
        backend = sys.modules[f"{__package__}.{job.family}_backend"]
        self.trainer_class: Any = getattr(backend, "SFTTrainer", None) or vars(backend)["Trainer"]
        self._on_model: list[Callable[[Any], None]] = []
        self._on_trainer: list[Callable[[Any], None]] = []

    def on_model(self, callback: Callable[[Any], None]) -> None:
        """Call back with the PEFT model once the adapter is attached."""
        self._on_model.append(callback)

    def on_trainer(self, callback: Callable[[Any], None]) -> None:
        """Call back with the trainer before `train()`."""
        self._on_trainer.append(callback)

    def model_ready(self, model: Any) -> None:
        """Run the model callbacks."""
        for callback in self._on_model:
            callback(model)

    def trainer_ready(self, trainer: Any) -> None:
        """Run the trainer callbacks."""
        for callback in self._on_trainer:
            callback(trainer)

    @classmethod
    def load(cls, job: Job) -> "FaultContext":
        """Build the context and install the job's fault, if it has one."""
        context = cls(job)
        if job.fault_file is not None:
            path = Path(job.fault_file)
            spec = importlib.util.spec_from_file_location(f"fault_{path.stem}", path)
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            module.install(context)
        return context
