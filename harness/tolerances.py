"""How far two computations of one quantity may lie apart: measured on clean runs, never guessed.

Kept in fixtures/tolerances.toml with the runs each was measured on. A tolerance is five times the largest
deviation, rounded up to 1, 2 or 5 times a power of ten.
"""

import math
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from harness.locations import FIXTURES
from harness.toml_file import read_model

TOLERANCES = FIXTURES / "tolerances.toml"
MARGIN = 5
"""Times the largest deviation of the clean runs."""
ENOUGH_TO_BE_EXACT = 10
"""Runs without any deviation; fewer may have been equal by chance."""
UNIT_ROUNDOFF = 2.0**-24
"""Of float32 (IEEE 754-2008 binary32): the largest relative error of one rounding."""


class Tolerance(BaseModel):
    """One allowance.

    Attributes:
        of: The check or relation that uses it.
        quantity: What is computed twice.
        dtype: The effective dtype of the computation.
        relative: Allowed |a - b| / |b|; 0 is to the bit.
        largest: The largest deviation measured.
        runs: Clean runs it was measured on.
        measured: When, on what and by which command.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    of: str = Field(min_length=1)
    quantity: str = Field(min_length=1)
    dtype: Literal["float32", "bfloat16", "float16"]
    relative: float = Field(ge=0, lt=1)
    largest: float = Field(ge=0)
    runs: int = Field(ge=1)
    measured: str = Field(min_length=1)

    @model_validator(mode="after")
    def _is_derived(self) -> "Tolerance":
        wanted = derived(self.largest, self.runs)
        if not math.isclose(self.relative, wanted, rel_tol=1e-9):
            raise ValueError(f"relative is {self.relative:g}, from largest it is {wanted:g}")
        return self

    def allows(self, deviation: float) -> bool:
        """Whether a relative deviation is within it; NaN is not."""
        return deviation <= self.relative


class Tolerances(BaseModel):
    """All allowances of a file."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    entries: tuple[Tolerance, ...] = Field((), alias="tolerance")

    @model_validator(mode="after")
    def _has_one_of_each(self) -> "Tolerances":
        counts = Counter((t.of, t.quantity, t.dtype) for t in self.entries)
        if twice := [" / ".join(key) for key, count in counts.items() if count > 1]:
            raise ValueError(f"more than one tolerance of {twice[0]}")
        return self

    def find(self, of: str, quantity: str, dtype: str) -> Tolerance | None:
        """Return the allowance, None where none was measured: then nothing can be said."""
        wanted = (of, quantity, dtype)
        return next((t for t in self.entries if (t.of, t.quantity, t.dtype) == wanted), None)


def derived(largest: float, runs: int) -> float:
    """Return the tolerance that a largest deviation gives: 0, or 1, 2 or 5 times 10**k.

    Args:
        largest: Over all runs. 0 gives 0 where enough runs agree to the bit; anything else is allowed at
            least one rounding of float32.
        runs: How many.
    """
    if largest <= 0 and runs >= ENOUGH_TO_BE_EXACT:
        return 0.0
    wanted = max(MARGIN * largest, UNIT_ROUNDOFF)
    exponent = math.floor(math.log10(wanted))
    # The last of the four is the next power of ten.
    steps = [float(f"{factor}e{exponent}") for factor in (1, 2, 5, 10)]
    return next(step for step in steps if wanted <= step * (1 + 1e-9))


def load(path: Path = TOLERANCES) -> Tolerances:
    """Read a file of tolerances.

    Raises:
        ConfigError: Unreadable, not TOML, a field that is unknown or out of range, an allowance that
            its own largest deviation does not give, or two of the same thing.
    """
    return read_model(path, Tolerances)


@cache
def shipped() -> Tolerances:
    """Return those of fixtures/tolerances.toml, read once."""
    return load()
