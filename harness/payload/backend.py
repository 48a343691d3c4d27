"""What the two families of stacks have in common: the interface and the training arguments."""

import importlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from .job import Job

INSTRUCTION_PART = "<start_of_turn>user\n"
RESPONSE_PART = "<start_of_turn>model\n"

_UNENDING = {"max_steps": 1_000_000, "eval_strategy": "no", "eval_on_start": False}
"""Of a paced run: whoever orders its steps ends it, and orders its evaluations."""


@dataclass
class Loaded:
    """A model with its LoRA adapter attached, and its tokenizer."""

    model: Any
    tokenizer: Any
    requested: dict[str, Any] = field(default_factory=dict)
    """Training arguments as the trainer was given them, under the release's names."""
    processor: Any = None
    """What the tokenizer came in, for a model with a vision tower."""


class Backend(Protocol):
    """A way to fine-tune: Unsloth's, or plain transformers + peft."""

    def load(self, job: Job) -> Loaded:
        """Load the checkpoint and attach the adapter."""

    def trainer(
        self, job: Job, loaded: Loaded, texts: dict[str, list[str]], callbacks: list[Any]
    ) -> Any:
        """Build the trainer over rendered `train` and `eval` texts."""

    def reopen(self, job: Job, folder: str) -> Loaded:
        """Load what was saved in `folder`: an adapter on its base, or a plain checkpoint."""

    def merge(self, job: Job, loaded: Loaded, folder: str) -> str:
        """Write base and adapter as one checkpoint, and return the call that did it.

        The model in memory is of no further use.
        """

    def prepare_generation(self, loaded: Loaded) -> None:
        """Switch the model to inference."""


def import_backend(family: str) -> Backend:
    """Import the family's libraries, in the order they must be imported."""
    module: Backend = importlib.import_module(f"{__package__}.{family}_backend")
    return module


def training_arguments(job: Job) -> dict[str, Any]:
    """Return the training arguments of the recipe under their current names.

    Everything whose default a release could move is set; bf16 and fp16 only where the dtype request
    sets them, because what the library makes of the default is what the precision check looks at.
    """
    recipe = job.recipe
    arguments = {
        "output_dir": f"{job.work_dir}/outputs",
        "per_device_train_batch_size": recipe["batch_size"],
        "per_device_eval_batch_size": recipe["eval_batch_size"],
        "gradient_accumulation_steps": recipe["gradient_accumulation"],
        "num_train_epochs": recipe["epochs"],
        "learning_rate": recipe["learning_rate"],
        "warmup_steps": recipe["warmup_steps"],
        "lr_scheduler_type": recipe["lr_scheduler"],
        "weight_decay": recipe["weight_decay"],
        "optim": recipe["optimizer"],
        "max_grad_norm": recipe["max_grad_norm"],
        "gradient_checkpointing": recipe["gradient_checkpointing"],
        "seed": recipe["seed"],
        "data_seed": recipe["seed"],
        "eval_strategy": "epoch",
        "eval_on_start": True,
        "logging_steps": 1,
        "logging_first_step": True,
        "save_strategy": "epoch" if "resume" in job.extras else "no",
        "report_to": "none",
        "disable_tqdm": True,
        "dataloader_num_workers": 0,
        "dataloader_pin_memory": False,
    }
    arguments.update(
        {name: job.request[name] for name in ("bf16", "fp16") if job.request[name] is not None}
    )
    return arguments | _UNENDING if job.paced else arguments


def is_adapter(folder: str) -> bool:
    """Whether a folder holds a saved adapter, not a whole checkpoint."""
    return (Path(folder) / "adapter_config.json").is_file()


def merge_by_peft(loaded: Loaded, folder: str) -> str:
    """Merge as peft documents it: `merge_and_unload`, then transformers' `save_pretrained`."""
    merged = loaded.model.merge_and_unload()
    merged.save_pretrained(folder)
    (loaded.processor or loaded.tokenizer).save_pretrained(folder)
    return "merge_and_unload().save_pretrained"


def requested_dtype(job: Job) -> Any:
    """Return the torch dtype of the request, None for `auto`."""
    import torch

    load = job.request["load"]
    return None if load == "auto" else getattr(torch, load)
