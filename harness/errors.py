"""One class and one exit code per failure kind.

A message says what happened, shows the offending value, and says what to change. Exit codes 0-5
are pytest's own (1: a check failed); ours start at 10 so that CI can tell the two apart.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from pydantic import ValidationError


class HarnessError(Exception):
    """Base of every failure the harness expects; `exit_code` is what the process returns."""

    exit_code: ClassVar[int] = 10


class ConfigError(HarnessError, ValueError):
    """A TOML file of the harness (matrix, hardware, precision, stacks) cannot be used."""

    exit_code = 11


class SelectionError(HarnessError, LookupError):
    """No cell matches what was asked for."""

    exit_code = 12


class UnknownStackError(HarnessError, LookupError):
    """A stack or release that the harness has no lock file for."""

    exit_code = 13


class InputError(HarnessError, FileNotFoundError):
    """A path the user gave (model, data, report folder, fault) is missing or unusable."""

    exit_code = 14


class StackBuildError(HarnessError, RuntimeError):
    """uv could not build or verify a stack's environment."""

    exit_code = 15


class CorruptRecordError(HarnessError, ValueError):
    """A record file is truncated, is not a record, or has a schema this version cannot read."""

    exit_code = 16


class HardwareError(HarnessError, LookupError):
    """A hardware profile is unknown, or not present in this machine."""

    exit_code = 17


class StorageError(HarnessError, OSError):
    """A result cannot be written: disk full, folder not writable."""

    exit_code = 18


class BaselineError(HarnessError, ValueError):
    """Runs that must not become a baseline: faulted, broken, disturbed, too few, or a dirty tree."""

    exit_code = 20


class IncompleteError(HarnessError, RuntimeError):
    """The gate has no answer for at least one cell (timeout, infrastructure): neither red nor green."""

    exit_code = 19


class PacedRunError(IncompleteError):
    """A process that takes turns with another ended, or did not answer: nothing was measured."""


class SameEndsError(HarnessError, ValueError):
    """The two ends of a bisection do not differ as they were said to."""

    exit_code = 22


class TrackingError(HarnessError, ConnectionError):
    """A tracking server cannot be reached, or refuses what it is given."""

    exit_code = 23


class ContainmentError(HarnessError, RuntimeError):
    """Cells cannot be contained on this machine as HARNESS_CONTAINMENT asks."""

    exit_code = 24


class MissingExtraError(HarnessError, ImportError):
    """A package is missing that only one of the optional extras needs."""

    exit_code = 21

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(
            f"{package} is not installed. Install it with the extra {extra!r}: "
            f"`uv sync --extra {extra}`, or `pip install 'gemma-lora-gate[{extra}]'`."
        )


EXIT_CODES: dict[int, str] = {
    0: "every verdict is PASS or a typed non-answer of a single check (UNCALIBRATED, SKIPPED)",
    1: (
        "at least one FAIL, CRASHED or OOM, or an upgrade that moves the eval_loss of a passing cell; of `harness "
        "upgrade` NOT SAFE, and nothing else"
    ),
    2: "interrupted (Ctrl-C); finished cells are kept",
    4: "pytest was called with arguments it does not know",
    5: "no cell was selected",
    **{
        cls.exit_code: (cls.__doc__ or "").split("\n")[0].rstrip(".")
        for cls in (
            ConfigError,
            SelectionError,
            UnknownStackError,
            InputError,
            StackBuildError,
            CorruptRecordError,
            HardwareError,
            StorageError,
            IncompleteError,
            BaselineError,
            MissingExtraError,
            TrackingError,
            SameEndsError,
            ContainmentError,
        )
    },
}


@dataclass(frozen=True)
class Problem:
    """The first thing that pydantic found wrong: where (`cells.0.stacks`), what it was, and why."""

    where: str
    value: Any
    reason: str

    missing: bool = False
    """Nothing is there: `value` is then what surrounds the place."""

    def __str__(self) -> str:
        shown = self.where if self.missing else f"{self.where} = {self.value!r}"
        return f"{shown}: {self.reason}"


def first_problem(error: ValidationError, whole: str = "") -> Problem:
    """Return the first problem of a validation.

    Args:
        error: What pydantic raised.
        whole: What to call the place where the problem is no field but the whole.
    """
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"]) or whole
    return Problem(where, first.get("input"), first["msg"], first["type"] == "missing")
