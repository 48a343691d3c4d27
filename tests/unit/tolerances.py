"""Tolerances of a test's own, in place of the measured ones."""

import pytest

from harness import tolerances
from harness.tolerances import Tolerance, Tolerances

LARGEST = 2e-7
"""Gives a tolerance of 1e-6."""


def allow(
    monkeypatch: pytest.MonkeyPatch, of: str, quantity: str, largest: float = LARGEST
) -> None:
    """Add a float32 tolerance; the first call takes all others away."""
    entry = Tolerance(
        of=of,
        quantity=quantity,
        dtype="float32",
        relative=tolerances.derived(largest, 20),
        largest=largest,
        runs=20,
        measured="in a test",
    )
    now = tolerances.shipped()
    mine = now.entries if all(e.measured == "in a test" for e in now.entries) else ()
    together = Tolerances.model_validate({"tolerance": [*mine, entry]})
    monkeypatch.setattr(tolerances, "shipped", lambda: together)
