"""Runners of a CI, and the cells of a matrix that each of them runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from harness.errors import ConfigError, SelectionError
from harness.locations import FIXTURES
from harness.matrix import Cell, Matrix, Overrides, load_matrix, stack_of
from harness.profiles import EMULATED, OVER
from harness.toml_file import read_model

DEFAULT_RUNNERS = FIXTURES / "runners.toml"


class Runner(BaseModel):
    """One kind of machine that a CI offers.

    Attributes:
        labels: What the CI finds it by.
        gpu: Slug of its CUDA card; None: it has none.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    labels: tuple[str, ...] = Field(min_length=1)
    gpu: str | None = None


class _RunnersFile(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    version: int = Field(alias="schema")
    runners: dict[str, Runner] = Field(min_length=1)


@dataclass(frozen=True)
class Job:
    """What one runner has to do."""

    name: str
    runner: Runner
    cells: tuple[Cell, ...]

    def entry(self) -> dict[str, Any]:
        """Return the job as one entry of `strategy.matrix.include` of GitHub Actions."""
        return {
            "runner": self.name,
            "runs-on": list(self.runner.labels),
            "hardware": list(dict.fromkeys(cell.hardware for cell in self.cells)),
            "cells": ",".join(dict.fromkeys(map(family_id, self.cells))),
        }


def read_runners(path: Path = DEFAULT_RUNNERS) -> dict[str, Runner]:
    """Read a file of runners.

    Raises:
        ConfigError: It cannot be read, or has another schema.
    """
    file = read_model(path, _RunnersFile, "the runners")
    if file.version != 1:
        raise ConfigError(f"{path}: schema = {file.version}; this harness reads schema 1.")
    return file.runners


def jobs(
    runners: dict[str, Runner], matrix: Path, overrides: Overrides, patterns: Sequence[str] = ()
) -> list[Job]:
    """Share out the cells of a matrix: those of its card to each GPU, all others to the first runner without one.

    Args:
        runners: By name.
        matrix: The matrix file.
        overrides: In place of the matrix's own.
        patterns: As `select` takes them; none: all cells.

    Returns:
        The runners that have something to do.

    Raises:
        SelectionError: A pattern names nothing that any runner can run.
    """
    found, taken, open_ones = [], set[str](), set(patterns)
    for name, runner in runners.items():
        expanded = load_matrix(matrix, [runner.gpu] if runner.gpu else [], overrides)
        cells = {cell.id: cell for cell in expanded.cells if not patterns}
        for pattern in patterns:
            named = [c for c in _named(expanded, expanded.cells, pattern) if _fits(c, runner)]
            open_ones -= {pattern} if named else set()
            cells |= {cell.id: cell for cell in named}
        mine = [cell for cell in cells.values() if cell.id not in taken and _fits(cell, runner)]
        taken |= {cell.id for cell in mine}
        if mine:
            found.append(Job(name, runner, tuple(mine)))
    if open_ones:
        raise SelectionError(
            f"no runner of {', '.join(runners)} has a cell named by {min(open_ones)!r}. `harness cells "
            "--json` lists what they have."
        )
    return found


def family_id(cell: Cell) -> str:
    """Return a cell's id without its stack: `t4-emulated/auto/hot`."""
    return cell.id.partition("/")[2]


def select(matrix: Matrix, cells: Sequence[Cell], patterns: Sequence[str]) -> list[Cell]:
    """Return the cells that any of some patterns names, of every stack.

    Args:
        matrix: Builds a cell that is named in full and not among `cells`: on each of the matrix's releases.
        cells: To choose from.
        patterns: Shell patterns of HARDWARE/DTYPE/RECIPE; none: all of `cells`.

    Raises:
        SelectionError: A pattern that names nothing.
    """
    chosen = {cell.id: cell for cell in cells if not patterns}
    for pattern in patterns:
        found = _named(matrix, cells, pattern)
        if not found:
            known = ", ".join(dict.fromkeys(map(family_id, cells)))
            raise SelectionError(f"no cell is named by {pattern!r}; there are {known}.")
        chosen |= {cell.id: cell for cell in found}
    return list(chosen.values())


def split_patterns(text: str | None) -> tuple[str, ...]:
    """Return the patterns of a comma-separated list from the command line."""
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())


def _named(matrix: Matrix, cells: Sequence[Cell], pattern: str) -> list[Cell]:
    found = [cell for cell in cells if fnmatchcase(family_id(cell), pattern)]
    if found or any(mark in pattern for mark in "*?["):
        return found
    return [matrix.cell(f"{stack_of(release)}/{pattern}") for release in matrix.releases]


def _fits(cell: Cell, runner: Runner) -> bool:
    if runner.gpu:
        return cell.hardware.rpartition(OVER)[2] == runner.gpu
    return cell.hardware == "cpu" or cell.hardware.endswith(EMULATED)
