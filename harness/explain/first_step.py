"""The tensors of a run's first step, read back and checked: data from a file, never code."""

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors import SafetensorError, safe_open

from harness.errors import CorruptRecordError, first_problem

Phase = Literal["evaluation", "training"]
Kind = Literal[
    "batch", "normaliser", "activation", "loss", "adapter", "gradient", "update"
]  # fmt: skip
Array = npt.NDArray[Any]

_LARGEST_FILE = 2**32
_LARGEST_TENSOR = 2**20
"""Bytes of float32 that the payload keeps of one tensor; a batch's integers are not cut."""


class _Frozen(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Entry(_Frozen):
    """What is known of one kept tensor beside its values.

    Attributes:
        dtype: That of the run, before the copy to float32.
        stride: Every stride-th value of the last dimension was kept; a power of two.
        saturated: Values of exactly 65504, float16's largest number, in the whole tensor.
    """

    phase: Phase
    kind: Kind
    name: str = Field(max_length=200)
    dtype: str = Field(max_length=20)
    stride: int = Field(ge=1)
    saturated: int = Field(0, ge=0)

    @property
    def key(self) -> str:
        """The tensor's name in the file."""
        return f"{self.phase}/{self.kind}/{self.name}"


class _About(_Frozen):
    version: Literal[1] = Field(alias="schema")
    weights: list[str]
    entries: list[Entry]


@dataclass(frozen=True)
class FirstStep:
    """The first evaluation batch, the first training batch and the first update of one run.

    Attributes:
        weights: Dtypes of the frozen weights.
        entries: In the order of computation.
        tensors: By `Entry.key`; float32, or int64 for a batch.
    """

    weights: list[str]
    entries: list[Entry]
    tensors: dict[str, Array]

    def of(self, phase: Phase, kind: Kind) -> dict[str, Entry]:
        """Return the entries of one kind by name, in order."""
        return self._by_kind.get((phase, kind), {})

    @cached_property
    def _by_kind(self) -> dict[tuple[Phase, Kind], dict[str, Entry]]:
        found: dict[tuple[Phase, Kind], dict[str, Entry]] = {}
        for entry in self.entries:
            found.setdefault((entry.phase, entry.kind), {})[entry.name] = entry
        return found

    def batch(self, phase: Phase) -> dict[str, Array]:
        """Return the tensors that the model was called with, each of shape (batch, tokens)."""
        return {name: self.tensors[e.key] for name, e in self.of(phase, "batch").items()}


def read(path: Path) -> FirstStep:
    """Read a run's file.

    Raises:
        CorruptRecordError: Cut short, not such a file, or its tensors are not as it says.
    """
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise CorruptRecordError(f"{path} has more than 4 GiB: not a first step.")
        with safe_open(path, framework="numpy") as file:
            about = _About.model_validate(json.loads((file.metadata() or {})["first_step"]))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        if isinstance(error, CorruptRecordError):
            raise
        why = first_problem(error) if isinstance(error, ValidationError) else error
        raise CorruptRecordError(f"{path} is no first step: {why}. Run with --fresh.") from error
    if sorted(tensors) != sorted(entry.key for entry in about.entries):
        raise CorruptRecordError(f"{path}: its tensors are not those that it lists.")
    for entry in about.entries:
        _check(path, entry, tensors[entry.key])
    for phase in ("evaluation", "training"):
        shapes = {
            tensors[e.key].shape for e in about.entries if e.key.startswith(f"{phase}/batch/")
        }
        if len(shapes) > 1:
            raise CorruptRecordError(f"{path}: the {phase} batch has tensors of shapes {shapes}.")
    return FirstStep(about.weights, about.entries, tensors)


def _check(path: Path, entry: Entry, tensor: Array) -> None:
    batch = entry.kind == "batch"
    types = {"batch": ("int64",), "normaliser": ("int64", "float32")}
    right_type = tensor.dtype.name in types.get(entry.kind, ("float32",))
    right_shape = tensor.ndim == 2 if batch else 1 <= tensor.ndim <= 4
    # One value a row stays even of a tensor that is long in its other dimensions.
    small = batch or tensor.nbytes <= _LARGEST_TENSOR or tensor.shape[-1] == 1
    if not (right_type and right_shape and small):
        raise CorruptRecordError(
            f"{path}: {entry.key} is {tensor.dtype} of shape {tensor.shape}, not what is kept of it."
        )
