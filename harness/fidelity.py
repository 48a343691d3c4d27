"""How faithful emulated cards are: a cell computed on the CPU beside the same cell computed on a GPU.

`h200-emulated` has its counterpart in `h200`, `t4-emulated` in `t4-over-h200`: the library sees one card,
and tensors live on the CPU in the one and on the GPU in the other.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from harness.comparison import relative
from harness.matrix import Cell
from harness.models.gemma3 import published
from harness.profiles import EMULATED, OVER
from harness.recipe import parse_recipe
from harness.record import Record

_DECISIONS = {
    "precision": (
        *("weights", "vision_weights", "lora", "activations", "logits", "autocast"),
        *("args_bf16", "args_fp16", "force_float32"),
    ),
    "executed": (
        *("trainer_class", "optimizer_class", "loss_function", "attention_implementation"),
        *("model_class", "model_inputs", "gradient_checkpointing"),
    ),
    "scaler": ("enabled",),
}
"""What the library decides, by part of the record: to be equal, whatever computes."""

_LIBRARIES = ("torch", "transformers", "trl", "peft", "unsloth", "unsloth_zoo", "bitsandbytes")


@dataclass(frozen=True)
class Pairing:
    """One cell, computed on the CPU and on a GPU."""

    emulated: Record
    real: Record

    @property
    def name(self) -> str:
        """Stack, card that the library saw, dtype request and recipe."""
        stack, _, dtype, recipe = self.real.cell_id.split("/", 3)
        return f"{stack}/{shown_card(self.real)}/{dtype}/{recipe}"

    @property
    def decisions(self) -> int:
        """How many decisions are compared."""
        return sum(len(fields) for fields in _DECISIONS.values())

    @property
    def differing(self) -> dict[str, tuple[Any, Any]]:
        """Return decision -> (emulated, real) where they differ."""
        found = {}
        for part, fields in _DECISIONS.items():
            ours, theirs = getattr(self.emulated, part), getattr(self.real, part)
            for field in fields:
                pair = (getattr(ours, field, None), getattr(theirs, field, None))
                if pair[0] != pair[1]:
                    found[field] = pair
        return found

    @property
    def loss_difference(self) -> float:
        """Return the largest relative difference of a reported eval_loss; NaN where one has none."""
        ours, theirs = self.emulated.eval_losses, self.real.eval_losses
        if len(ours) != len(theirs) or not ours or not all(map(math.isfinite, [*ours, *theirs])):
            return math.nan
        return max(relative(a, b) for a, b in zip(ours, theirs, strict=True))

    @property
    def other_versions(self) -> dict[str, tuple[str, str]]:
        """Return library -> (version emulated, version on the GPU) where they differ."""
        if self.emulated.executed is None or self.real.executed is None:
            return {}
        ours, theirs = self.emulated.executed.packages, self.real.executed.packages
        versions = {name: (ours.get(name, "none"), theirs.get(name, "none")) for name in _LIBRARIES}
        return {name: pair for name, pair in versions.items() if pair[0] != pair[1]}


def pair(records: Iterable[Record]) -> list[Pairing]:
    """Return every cell that completed on both; the newest record of each counts."""
    emulated: dict[tuple[str, ...], Record] = {}
    real: dict[tuple[str, ...], Record] = {}
    for record in sorted(records, key=lambda record: record.started_at):
        if _is_usable(record):
            side = real if record.hardware.on_gpu else emulated
            side[_experiment(record)] = record
    return [
        Pairing(emulated[key], real[key])
        for key in sorted(real)
        if key in emulated and emulated[key].hardware.kind == "emulated"
    ]


def without_counterpart(records: Sequence[Record]) -> list[Cell]:
    """Return the emulated cells that the ones measured on a GPU lack beside them.

    Of Unsloth and the tiny models: the reference has no GPU code path of its own, and a true shape is beyond a CPU.
    """
    paired = {(p.name, p.real.recipe_digest) for p in pair(records)}
    found: dict[str, Cell] = {}
    for record in records:
        if _is_usable(record) and record.hardware.on_gpu and _fits_a_cpu(record):
            stack, _, dtype, name = record.cell_id.split("/", 3)
            card = shown_card(record)
            recipe = parse_recipe({**record.recipe, "name": name})
            if (f"{stack}/{card}/{dtype}/{name}", record.recipe_digest) not in paired:
                cell = Cell(stack, f"{card}{EMULATED}", dtype, recipe)
                found[cell.id] = cell
    return list(found.values())


def shown_card(record: Record) -> str:
    """Return the card that the library saw, `t4` of `t4-over-h200`."""
    return record.hardware.name.removesuffix(EMULATED).partition(OVER)[0]


def _is_usable(record: Record) -> bool:
    return record.status == "COMPLETED" and record.fault is None and not record.extras


def _fits_a_cpu(record: Record) -> bool:
    model = str(record.recipe.get("model", ""))
    tiny = model.startswith("fixture:") and model.removeprefix("fixture:") not in published()
    return tiny and record.stack.family == "unsloth"


def _experiment(record: Record) -> tuple[str, ...]:
    return record.stack.name, shown_card(record), record.dtype_request, record.recipe_digest
