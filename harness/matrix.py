"""Cells: what one run is, how matrix.toml expands into them, and how a user selects some."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from harness.errors import ConfigError, SelectionError
from harness.locations import FIXTURES, shipped
from harness.profiles import OVER
from harness.recipe import Recipe, digest, parse_recipe, parse_words
from harness.stacks.kept_locks import MARK, is_kept
from harness.stacks.stack import LIVE, parse_name
from harness.stacks.stacks_file import in_order
from harness.toml_file import read_model

DEFAULT_MATRIX = FIXTURES / "matrix.toml"
_LONGEST_NAME = 160  # of 255 bytes: locks and evidence put something behind it
_EXAMPLE = "unsloth-2026.10.9/t4-emulated/auto/mild"
ANY_GPU = "gpu"
"""Stands in matrix.toml for each CUDA GPU of the machine, as in `gpu` and `t4-over-gpu`; without one its
cells do not exist."""


@dataclass(frozen=True)
class Cell:
    """Stack x hardware x dtype request x recipe: one fine-tune."""

    stack: str
    hardware: str
    dtype: str
    recipe: Recipe

    @property
    def id(self) -> str:
        """Readable, stable, and what selects the cell: `unsloth-2026.10.9/cpu/float32/mild`."""
        return f"{self.stack}/{self.hardware}/{self.dtype}/{self.recipe.name}"

    @property
    def slug(self) -> str:
        """The id as a file name."""
        return file_slug(self.id)

    def varied(self, fields: Mapping[str, Any]) -> "Cell":
        """Return the cell with fields of its recipe put in; see `Recipe.varied`."""
        return replace(self, recipe=self.recipe.varied(fields))


def file_slug(cell_id: str) -> str:
    """Return a cell's id as a file name."""
    name = cell_id.replace("/", "__")
    return name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}-{digest(name)}"


class _Block(BaseModel):
    model_config = ConfigDict(extra="forbid")

    stacks: list[str] = Field(min_length=1)
    """Names of stacks; `unsloth` is each of the matrix's releases, `reference` that of the newest."""
    since: str | None = None
    """The first release that has these cells."""
    hardware: list[str] = Field(min_length=1)
    dtypes: list[str] = Field(min_length=1)
    recipes: list[str] = Field(min_length=1)


class _Defaults(BaseModel):
    model_config = ConfigDict(extra="forbid")

    timeout_s: float = Field(900, gt=0)
    threads: int = Field(1, ge=1)


class _Repeat(BaseModel):
    model_config = ConfigDict(extra="forbid")

    cells: list[str] = []
    times: int = Field(2, ge=1)


class _MatrixFile(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    version: int = Field(alias="schema")
    releases: list[str] = Field(min_length=1)
    defaults: _Defaults = _Defaults()
    recipes: dict[str, dict[str, Any]]
    scales: dict[str, dict[str, Any]] = {}
    cells: list[_Block] = Field(min_length=1)
    repeat: _Repeat = _Repeat()


@dataclass(frozen=True)
class Overrides:
    """What the command line puts in place of the matrix's own."""

    model: str | None = None
    data: str | None = None
    scale: str | None = None
    releases: tuple[str, ...] = ()
    """Versions of Unsloth, kept locks, `current` or `frontier`, in place of the matrix's."""


class Matrix:
    """A validated matrix file, expanded for this machine.

    Attributes:
        releases: Versions of Unsloth that are compared, oldest first; last `current`, `frontier`. With a
            kept lock among them, in the order in which they were given.
        in_given_order: Whether they are in that order.
        cells: In file order, without duplicates.
        recipes: By name, with scale and overrides applied.
        timeout_s: Wall seconds one cell may take.
        threads: CPU threads of one cell.
    """

    def __init__(self, file: _MatrixFile, path: Path, gpus: Sequence[str], over: Overrides) -> None:
        self.timeout_s = file.defaults.timeout_s
        self.threads = file.defaults.threads
        self._path = path
        self._repeat = file.repeat
        self.recipes = {
            name: _recipe(name, fields, file.scales, over, path)
            for name, fields in file.recipes.items()
        }
        given = over.releases or tuple(file.releases)
        self.in_given_order = any(map(is_kept, given))
        self.releases = list(dict.fromkeys(given)) if self.in_given_order else _oldest_first(given)
        unique = {cell.id: cell for block in file.cells for cell in self._expand(block, gpus)}
        self.cells = list(unique.values())

    def repeats(self, cell: Cell) -> int:
        """Return how often the cell runs: once, or more for the determinism check."""
        repeated = any(fnmatchcase(cell.id, pattern) for pattern in self._repeat.cells)
        return self._repeat.times if repeated else 1

    def cell(self, cell_id: str) -> Cell:
        """Build any cell by its id, in the default selection or not.

        Fields of the recipe may follow its name: `.../mild+batch_size=2+lora.r=4`.

        Raises:
            SelectionError: Not four parts, or an unknown recipe.
            ConfigError: A field that a recipe does not have, or a value out of range.
            UnknownStackError: No such stack.
        """
        parts = cell_id.split("/", 3)
        if len(parts) != 4:
            raise SelectionError(
                f"{cell_id!r} is not a cell id: expected STACK/HARDWARE/DTYPE/RECIPE, for example "
                f"{_EXAMPLE}. `harness cells` lists them."
            )
        stack, hardware, dtype, recipe = parts
        parse_name(stack)
        name, *words = recipe.split("+")
        if name not in self.recipes:
            raise SelectionError(
                f"{cell_id!r}: unknown recipe {name!r}; {self._path.name} has "
                f"{', '.join(self.recipes)}."
            )
        return Cell(stack, hardware, dtype, self.recipes[name].varied(parse_words(words)))

    def _expand(self, block: _Block, gpus: Sequence[str]) -> Iterable[Cell]:
        unknown = [name for name in block.recipes if name not in self.recipes]
        if unknown:
            raise ConfigError(
                f"{self._path}: a cells block asks for recipe {unknown[0]!r}; "
                f"[recipes] has {', '.join(self.recipes)}."
            )
        hardware = [slug for entry in block.hardware for slug in _slugs(entry, gpus)]
        for stack in self._stacks(block):
            parse_name(stack)
            for slug in hardware:
                for dtype in block.dtypes:
                    for recipe in block.recipes:
                        yield Cell(stack, slug, dtype, self.recipes[recipe])

    def _stacks(self, block: _Block) -> list[str]:
        live = [name for name in self.releases if name in LIVE]
        locked = [r for r in self.releases if r not in LIVE and _is_since(r, block.since)]
        meant = {
            "unsloth": [stack_of(release) for release in [*locked, *live]],
            "reference": [f"reference-{release}" for release in locked[-1:]],
        }
        return [name for stack in block.stacks for name in meant.get(stack, [stack])]


def stack_of(release: str) -> str:
    """Return the name of a release's stack: a live one's is its own."""
    return release if release in LIVE else f"unsloth-{release}"


def _slugs(entry: str, gpus: Sequence[str]) -> list[str]:
    shown, over, real = entry.rpartition(OVER)
    return [f"{shown}{over}{gpu}" for gpu in gpus] if real == ANY_GPU else [entry]


def _oldest_first(given: Sequence[str]) -> list[str]:
    return [
        *in_order(release for release in given if release not in LIVE),
        *(name for name in LIVE if name in given),
    ]


def _is_since(release: str, first: str | None) -> bool:
    # A kept lock's digest is no part of its version.
    return first is None or in_order([release.partition(MARK)[0], first])[0] == first


def split_releases(text: str | None) -> tuple[str, ...]:
    """Return the releases of a comma-separated list from the command line."""
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())


def load_matrix(
    path: Path = DEFAULT_MATRIX, gpus: Sequence[str] = (), overrides: Overrides = Overrides()
) -> Matrix:
    """Read and expand a matrix file.

    Args:
        path: The TOML file.
        gpus: Hardware slugs of the CUDA GPUs in this machine.
        overrides: Model, data and scale from the command line.

    Raises:
        ConfigError: Not TOML, an unknown key, a value out of range; the message names it.
    """
    file = read_model(shipped(path), _MatrixFile, "the matrix")
    if file.version != 1:
        raise ConfigError(f"{path}: schema = {file.version}; this harness reads schema 1.")
    return Matrix(file, path, gpus, overrides)


def _recipe(
    name: str,
    fields: dict[str, Any],
    scales: dict[str, dict[str, Any]],
    over: Overrides,
    path: Path,
) -> Recipe:
    recipe = parse_recipe({**fields, "name": name})
    if over.scale is not None:
        if over.scale not in scales:
            raise SelectionError(
                f"unknown scale {over.scale!r}; {path.name} has {', '.join(scales) or 'none'}."
            )
        recipe = recipe.scaled(scales[over.scale])
    given = {"model": over.model, "data": over.data}
    return recipe.scaled({key: value for key, value in given.items() if value is not None})
