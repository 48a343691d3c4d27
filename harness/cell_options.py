"""What a cell's id leaves open of how it was run, and the command that runs it again."""

import shlex
from pathlib import Path

from pydantic import ConfigDict

from harness.locations import FIXTURES
from harness.record import Record
from harness.strict_json import StrictModel


class CellOptions(StrictModel):
    """The options of `harness run` that decide, together with a cell's id, what is run.

    Values are as they were given: a path relative to the working folder stays relative.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    matrix: str | None = None
    """The matrix file; None for the one that ships with the harness."""
    model: str | None = None
    """The checkpoint folder in place of the recipe's model."""
    data: str | None = None
    """The file of translation pairs in place of the recipe's."""
    scale: str | None = None
    """A scale of the matrix file."""
    fault: str | None = None
    """The fault plugin that was injected."""

    def arguments(self) -> list[str]:
        """Return the options that are not the default, as arguments of a command."""
        given = self.model_dump(exclude_none=True)
        return [word for name, value in given.items() for word in (f"--{name}", value)]

    def rerun(self, cell_id: str) -> str:
        """Return the command that runs a cell again, quoted for a shell."""
        return shlex.join(["harness", "run", cell_id, *self.arguments()])


def options_of(record: Record) -> CellOptions:
    """Return what a record tells by itself: the matrix file and the scale are not in it.

    A fault is known by its name. One that does not ship with the harness is named as a file that may not
    be there: the command must rather fail than run the cell without its fault.
    """
    named = {name: record.recipe.get(name) for name in ("model", "data")}
    paths = {
        name: value
        for name, value in named.items()
        if isinstance(value, str) and not value.startswith("fixture:")
    }
    return CellOptions(**paths, fault=_plugin(record.fault) if record.fault else None)


def _plugin(name: str) -> str:
    for folder in ("faults", "slowdowns"):
        path = FIXTURES / folder / f"{name}.py"
        if path.is_file():
            here = Path.cwd()
            return str(path.relative_to(here) if path.is_relative_to(here) else path)
    return f"{name}.py"
