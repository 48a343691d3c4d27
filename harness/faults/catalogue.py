"""The catalogue of faults: what each one imitates, and which check must see it.

Read from fixtures/faults/catalogue.toml without importing a plugin. How to add one: docs/faults.md.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from harness.checks import all_checks
from harness.errors import ConfigError, SelectionError, first_problem
from harness.figures import FAMILIES
from harness.locations import FIXTURES
from harness.matrix import Cell, Matrix
from harness.recipe import field_words
from harness.relations import Relation, all_relations
from harness.toml_file import read_model
from harness.verdict import Outcome

FOLDER = FIXTURES / "faults"
CELL = "reference-2026.10.9/cpu/float32/mild"


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    cell: str = CELL
    """The cell it runs on."""
    recipe: dict[str, Any] = {}
    """Fields put in place of that cell's recipe."""

    def cell_of(self, matrix: Matrix) -> Cell:
        """Return the cell, renamed after the recipe fields that are not its own.

        Raises:
            SelectionError, ConfigError, UnknownStackError: The cell or a recipe field is not there.
        """
        return matrix.cell(self.cell).varied(self.recipe)


class Clean(_Entry):
    """A run without a fault; any red check is a false alarm."""

    @property
    def name(self) -> str:
        """The cell, and what its recipe has of its own."""
        return " ".join([self.cell, *field_words(self.recipe)])


class Fault(_Entry):
    """One fault plugin.

    An entry without `would_see` must be detected: `check` answers `outcome` and names `diagnosis`.
    One with `would_see` is a declared gap: exactly the checks `seen_by` are red, none of them the
    one that is meant for it. When that changes the entry must be updated.
    """

    name: str
    """The plugin's file name without `.py`."""
    row: str = Field(min_length=1)
    """Rows of the regressions catalogue, as `U#2084`, or what happened where no issue is known."""
    check: str = ""
    """The check or the relation meant for it; empty where none exists yet."""
    outcome: Outcome = Outcome.FAIL
    diagnosis: str = ""
    """Part of what the check must say; empty where it can only name the number."""
    timeout_s: float | None = Field(None, gt=0)
    seen_by: tuple[str, ...] = ()
    would_see: str = ""
    """What would see a fault that its check does not: the oracle to build."""

    @property
    def relation(self) -> Relation | None:
        """The relation meant for it, None where a check is."""
        return next((r for r in all_relations() if r.name == self.check), None)

    @property
    def needs_baseline(self) -> bool:
        """Whether its check compares with clean runs: `throughput`, `start_up`, `memory`."""
        return self.check in FAMILIES

    @property
    def file(self) -> Path:
        """The plugin."""
        return FOLDER / f"{self.name}.py"

    @model_validator(mode="after")
    def _is_consistent(self) -> "Fault":
        known = {check.name for check in all_checks()}
        known |= {relation.name for relation in all_relations()}
        unknown = {self.check, *self.seen_by} - known - {""}
        if unknown:
            raise ValueError(f"no check or relation named {', '.join(sorted(unknown))}")
        if not self.would_see and (not self.check or self.seen_by):
            raise ValueError("a fault names its `check`, or `would_see` declares that it is missed")
        if self.check in self.seen_by:
            raise ValueError("`seen_by` is for other checks than `check`")
        return self


@dataclass(frozen=True)
class Catalogue:
    """Every fault, in file order, and runs that must raise no alarm."""

    faults: tuple[Fault, ...]
    clean: tuple[Clean, ...]

    def select(self, names: Sequence[str]) -> tuple[Fault, ...]:
        """Return the faults of these names, all of them for no name.

        Raises:
            SelectionError: A name that the catalogue lacks.
        """
        known = {fault.name: fault for fault in self.faults}
        for name in names:
            if name not in known:
                raise SelectionError(f"no fault {name!r}; the catalogue has {', '.join(known)}.")
        return tuple(known[name] for name in names) or self.faults

    def clean_runs(self, count: int) -> tuple[Clean, ...]:
        """Return `count` clean runs: those of the file, then the same again under new seeds."""
        runs = []
        for index in range(count if self.clean else 0):
            round_, place = divmod(index, len(self.clean))
            run = self.clean[place]
            fields = {**run.recipe, "seed": 1000 + index} if round_ else run.recipe
            runs.append(Clean(cell=run.cell, recipe=fields))
        return tuple(runs)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    version: int = Field(alias="schema")
    faults: dict[str, dict[str, Any]] = Field(min_length=1)
    clean: list[Clean] = []


def read_catalogue(folder: Path = FOLDER) -> Catalogue:
    """Read `catalogue.toml` of a folder of plugins.

    Raises:
        ConfigError: Not TOML, an entry that contradicts itself, or plugins and entries that do not
            match one to one.
    """
    path = folder / "catalogue.toml"
    file = read_model(path, _File, "the fault catalogue")
    if file.version != 1:
        raise ConfigError(f"{path}: schema = {file.version}; this harness reads schema 1.")
    plugins = {plugin.stem for plugin in folder.glob("*.py")}
    if unmatched := sorted(plugins ^ set(file.faults)):
        raise ConfigError(f"{path}: plugin without entry or entry without: {', '.join(unmatched)}.")
    return Catalogue(
        tuple(_fault(name, fields, path) for name, fields in file.faults.items()),
        tuple(file.clean),
    )


def _fault(name: str, fields: dict[str, Any], path: Path) -> Fault:
    try:
        return Fault.model_validate({**fields, "name": name})
    except ValidationError as error:
        raise ConfigError(f"{path}: fault {name!r}: {first_problem(error, 'entry')}.") from error
