"""fixtures/relations.toml: the cells that relations run on, and the violations that are findings."""

from fnmatch import fnmatchcase
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from harness.locations import FIXTURES
from harness.toml_file import read_model

SETTINGS = FIXTURES / "relations.toml"


class Known(BaseModel):
    """A quantity that current releases violate.

    Attributes:
        finding: The page with its reproduction, from the project's root.
        stack: Pattern of the stacks that do it, as in a shell.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    relation: str
    quantity: str
    finding: str
    stack: str = "*"


class Settings(BaseModel):
    """The file."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    version: int = Field(alias="schema", ge=1, le=1)
    cells: tuple[str, ...] = Field(min_length=1)
    known: tuple[Known, ...] = ()

    def finding(self, relation: str, quantity: str, stack: str) -> str | None:
        """Return the page of a known violation, None where it is none."""
        return next(
            (
                k.finding
                for k in self.known
                if (k.relation, k.quantity) == (relation, quantity) and fnmatchcase(stack, k.stack)
            ),
            None,
        )


def read_settings(path: Path = SETTINGS) -> Settings:
    """Read the file.

    Raises:
        ConfigError: Unreadable, not TOML, or a field that is unknown or missing.
    """
    return read_model(path, Settings)
