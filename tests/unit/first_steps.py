"""Made-up first steps: what a payload keeps of a run, for a batch of two rows of 3 and 5 tokens."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from harness.explain.first_step import Entry, FirstStep

ROWS = ([2, 7, 8], [2, 5, 6, 9, 1])
PARTS = ("input_layernorm", "self_attn", "mlp", "")
NAMES = [
    "embed_tokens",
    *(f"layers.{i}.{part}".strip(".") for i in range(2) for part in PARTS),
    "logits",
]
LORA = [f"layers.{i}.mlp.lora_{letter}" for i in range(2) for letter in "AB"]


def padded(rows: Any = ROWS) -> dict[str, np.ndarray[Any, Any]]:
    """Return a padded batch: 0 is padding."""
    width = max(map(len, rows))
    ids = np.array([[*row, *[0] * (width - len(row))] for row in rows])
    mask = np.array([[1] * len(row) + [0] * (width - len(row)) for row in rows])
    return {"input_ids": ids, "attention_mask": mask, "labels": np.where(mask, ids, -100)}


def packed(rows: Any = ROWS) -> dict[str, np.ndarray[Any, Any]]:
    """Return the same in one row; the first label of each row is taken out, as TRL does."""
    ids = np.array([[token for row in rows for token in row]])
    positions = np.array([[place for row in rows for place in range(len(row))]])
    return {
        "input_ids": ids,
        "position_ids": positions,
        "labels": np.where(positions == 0, -100, ids),
    }


def first_step(batch: dict[str, np.ndarray[Any, Any]] | None = None, **options: Any) -> FirstStep:
    """Return a first step whose activations depend on token and place in the row alone.

    Args:
        batch: Of both phases; padded if not given.
        options: `dtype` of the activations, `weights`.
    """
    batch = padded() if batch is None else batch
    dtype = options.get("dtype", "float32")
    entries: list[Entry] = []
    tensors: dict[str, Any] = {}

    def keep(phase: Any, kind: Any, name: str, value: Any, dtype: str = "float32") -> None:
        entry = Entry(phase=phase, kind=kind, name=name, dtype=dtype, stride=1)
        entries.append(entry)
        tensors[entry.key] = value

    for phase in ("evaluation", "training"):
        for name, value in batch.items():
            keep(phase, "batch", name, value.astype(np.int64), "int64")
        if phase == "training":
            keep(phase, "normaliser", "normaliser", np.array([6]), "int64")
        for number, name in enumerate(NAMES):
            keep(phase, "activation", name, _activation(batch, number), dtype)
        keep(phase, "loss", "loss", np.array([7.0], np.float32))
    for kind in ("adapter", "gradient", "update"):
        for number, name in enumerate(LORA if kind != "gradient" else LORA[::-1]):
            draw = np.random.default_rng(number).standard_normal((2, 4), np.float32)
            keep("training", kind, name, draw)
    return FirstStep(options.get("weights", ["float32"]), entries, tensors)


def _activation(batch: dict[str, Any], number: int) -> np.ndarray[Any, Any]:
    ids = batch["input_ids"]
    place = batch.get("position_ids", np.arange(ids.shape[1])[None, :])
    angle = ids[..., None] * (1 + number) + place[..., None] + np.arange(4)
    return np.asarray(np.sin(angle), np.float32)


def changed(step: FirstStep, key: str, value: Any, **entry: Any) -> FirstStep:
    """Return the step with one tensor, and fields of its entry, in place of its own."""
    entries = [e.model_copy(update=entry) if e.key == key else e for e in step.entries]
    assert key in step.tensors
    return replace(step, entries=entries, tensors={**step.tensors, key: value})


def write(step: FirstStep, path: Path, **about: Any) -> Path:
    """Write a step as the payload does."""
    fields = {
        "schema": 1,
        "weights": step.weights,
        "entries": [entry.model_dump() for entry in step.entries],
        **about,
    }
    tensors = {name: np.ascontiguousarray(value) for name, value in step.tensors.items()}
    save_file(tensors, path, metadata={"first_step": json.dumps(fields)})
    return path
