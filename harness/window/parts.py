"""The parts of a window: what is to be measured on a card, the most wanted first."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from harness.errors import ConfigError, HardwareError, SelectionError
from harness.locations import FIXTURES, shipped
from harness.matrix import ANY_GPU, Cell, Matrix
from harness.profiles import OVER
from harness.toml_file import read_model

DEFAULT_PARTS = FIXTURES / "gpu-window.toml"


class Part(BaseModel):
    """What is measured in one way.

    Attributes:
        name: What it is called.
        do: `cells`: each once. `repeats`: each `times` times alone, for a baseline. `pairs`: the second of two
            cells against the first, by processes that take turns.
        matrix: File that the cells are of, beside this one or else shipped.
        cells: Ids, or shell patterns of ids; `gpu` in their hardware stands for each card of the machine.
        jobs: Cells at once, on one GPU, too: for decisions and losses, no speeds.
        seconds: What is to be left of a window for another piece of it: `jobs` cells, a repeat, pairs.
        times: Repeats.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    do: Literal["cells", "repeats", "pairs"] = "cells"
    matrix: str = "gpu.toml"
    cells: tuple[str, ...] = Field(min_length=1)
    jobs: int = Field(1, ge=1)
    seconds: float = Field(gt=0)
    times: int = Field(5, ge=3)

    def matrix_file(self, file: Path) -> Path:
        """Return the matrix, for parts that are read from `file`."""
        beside = shipped(file).parent / self.matrix
        return beside if beside.exists() else FIXTURES / self.matrix

    def select(self, matrix: Matrix, gpus: Sequence[str]) -> list[Cell]:
        """Return its cells on the cards of a machine, in its own order.

        Raises:
            SelectionError: A pattern that names nothing.
            HardwareError: They are for a GPU, and there is none.
        """
        found: list[Cell] = []
        for pattern in self._on(gpus):
            if any(mark in pattern for mark in "*?["):
                named = [cell for cell in matrix.cells if fnmatchcase(cell.id, pattern)]
            else:
                named = [matrix.cell(pattern)]
            if not named:
                raise SelectionError(
                    f"part {self.name!r}: no cell of {self.matrix} is {pattern!r}. `harness cells "
                    f"--matrix {self.matrix} --gpu CARD` lists them."
                )
            found += named
        # A cell may be compared with itself.
        return found if self.do == "pairs" else list({cell.id: cell for cell in found}.values())

    def _on(self, gpus: Sequence[str]) -> list[str]:
        if not any(map(_is_for_a_gpu, self.cells)):
            return list(self.cells)
        if not gpus:
            raise HardwareError(f"part {self.name!r} is for a CUDA GPU, and there is none.")
        return [_with(pattern, gpu) for gpu in dict.fromkeys(gpus) for pattern in self.cells]


class _PartsFile(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    version: int = Field(alias="schema")
    parts: tuple[Part, ...] = Field(min_length=1)


def read_parts(path: Path = DEFAULT_PARTS, names: Sequence[str] = ()) -> list[Part]:
    """Read the parts of a file, in its order.

    Args:
        path: The TOML file.
        names: Which of them, in this order; all without a name.

    Raises:
        ConfigError: It cannot be read, or pairs that are not two.
        SelectionError: A name that it does not have.
    """
    file = read_model(shipped(path), _PartsFile, "the parts")
    if file.version != 1:
        raise ConfigError(f"{path}: schema = {file.version}; this harness reads schema 1.")
    known = {part.name: part for part in file.parts}
    for part in file.parts:
        if part.do == "pairs" and len(part.cells) != 2:
            raise ConfigError(f"{path}: part {part.name!r}: pairs are of two cells.")
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SelectionError(f"no part {unknown[0]!r}; {path.name} has {', '.join(known)}.")
    return [known[name] for name in names] if names else list(file.parts)


def _is_for_a_gpu(pattern: str) -> bool:
    return _hardware(pattern).rpartition(OVER)[2] == ANY_GPU


def _with(pattern: str, gpu: str) -> str:
    if not _is_for_a_gpu(pattern):
        return pattern
    stack, hardware, *rest = pattern.split("/")
    shown, over, _ = hardware.rpartition(OVER)
    return "/".join([stack, f"{shown}{over}{gpu}", *rest])


def _hardware(pattern: str) -> str:
    return pattern.split("/")[1] if "/" in pattern else ""
