"""What the harness asks of one payload process."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Job:
    """One cell, resolved: every path is absolute, every choice is made.

    Attributes:
        family: `unsloth`, or `reference` for plain transformers + peft.
        recipe: The fields of `harness.recipe.Recipe`.
        request: The dtype request: `load` (`auto` or a dtype name), `bf16` and `fp16` (True, False,
            or None for the library's default), `load_in_4bit`.
        hardware: `slug`, `kind` (`native` or `emulated`), `on_gpu` (where tensors live), `bf16`, and
            the fields of the profile that the library sees.
        model_dir: A checkpoint folder in transformers' format.
        train_file: JSON lines with `source` and `target`; `eval_file` likewise.
        events_file: Where the answer goes.
        fault_file: A fault plugin, or None.
        paced: Whether it trains step by step as it is ordered, for as long as orders come (`paced`).
        extras: What the run does beside training: `first_step`, `reload`, `merge`, `resume`.
        again: In a fresh process after training: which of `reload`, `merge` and `resume` it does.
        saved: The folder that it starts from.
    """

    cell_id: str
    family: str
    recipe: dict[str, Any]
    request: dict[str, Any]
    hardware: dict[str, Any]
    model_dir: str
    train_file: str
    eval_file: str
    work_dir: str
    events_file: str
    fault_file: str | None = None
    paced: bool = False
    extras: list[str] = field(default_factory=list)
    again: str | None = None
    saved: str = ""

    @property
    def device(self) -> str:
        """The device type that the library under test sees."""
        return "cpu" if self.hardware["slug"] == "cpu" else "cuda"

    @property
    def first_step_file(self) -> str | None:
        """Where the first step's tensors go; None: they are not taken."""
        return f"{self.work_dir}/first_step.safetensors" if "first_step" in self.extras else None

    @classmethod
    def read(cls, path: Path) -> "Job":
        """Read `job.json`."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))


def read_rows(path: str) -> list[dict[str, str]]:
    """Read the `source` / `target` rows of a JSON lines file."""
    with Path(path).open(encoding="utf-8") as handle:
        return [json.loads(line) for line in handle]
